"""Checkpoints that are not here: fetched from the manifest's address, whole or not at all."""

import http.server
import json
import shutil
import socket
import threading
from typing import ClassVar

import pytest
import torch

import upzoo
from runs import console
from tests.models.test_zoo import FCN, add
from upzoo import fetching, zoo

NAME = "fcn8s_bilinear_init.shapes"
WEIGHTS = f"/{NAME}/model.safetensors"


class Server(http.server.BaseHTTPRequestHandler):
    """Serves a folder, with the faults that are set for a path."""

    root = None
    faults: ClassVar[dict] = {}

    def do_GET(self):
        fault, value = self.faults.get(self.path, (None, None))
        path = self.root / self.path.lstrip("/")
        if fault == "redirect":
            self.send_response(302)
            self.send_header("Location", value)
            self.end_headers()
            return
        if fault == "status" or not path.is_file():
            self.send_error(value or 404)
            return
        content = value if fault == "content" else path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:1000] if fault == "cut" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An installed package: the manifest alone, its checkpoint behind an address."""
    package, served = tmp_path / "package", tmp_path / "served"
    package.mkdir()
    monkeypatch.setattr(zoo, "ROOT", package)
    monkeypatch.setenv("UPZOO_DATA", str(tmp_path / "data"))
    monkeypatch.delenv(zoo.ADDRESS, raising=False)
    add(NAME, FCN)
    served.mkdir()
    shutil.move(package / NAME, served / NAME)
    handler = type("Handler", (Server,), {"root": served, "faults": {}})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address(f"http://127.0.0.1:{httpd.server_port}/")
    yield handler
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def address(url):
    path = zoo.ROOT / zoo.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"address": url}))


def refused(error=ConnectionError):
    """One line, and nothing is left behind."""
    with pytest.raises(error) as caught:
        upzoo.load(NAME)
    line = console.explain(caught.value)
    assert line is not None
    assert "\n" not in str(caught.value)
    home = fetching.data_home() / "checkpoints"
    assert not home.exists() or list(home.iterdir()) == []
    return line


def test_a_checkpoint_is_fetched_once_and_checked(server, capfd):
    net = upzoo.load(NAME)
    assert "fetching http://127.0.0.1" in capfd.readouterr().err
    assert zoo.find(NAME) == fetching.data_home() / "checkpoints" / NAME
    shutil.rmtree(server.root)
    again = upzoo.load(NAME)
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(net(x), again(x))
    path = zoo.find(NAME) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"checksum mismatch.*remove .*, and it is fetched again"):
        upzoo.load(NAME)


def test_a_mirror_of_ones_own(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv(zoo.ADDRESS, json.loads((zoo.ROOT / zoo.MANIFEST).read_text())["address"])
        address("http://127.0.0.1:9/")
        assert not upzoo.load(NAME).training


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_that_leave_the_web_are_refused(server, target):
    server.faults[WEIGHTS] = ("redirect", target)
    line = refused()
    assert "127.0.0.1" in line
    assert "not allowed" in line or "unknown url type" in line


def test_a_redirect_to_another_page_is_followed(server):
    server.faults[WEIGHTS] = ("redirect", f"/moved{WEIGHTS}")
    shutil.copytree(server.root / NAME, server.root / "moved" / NAME)
    assert not upzoo.load(NAME).training


def test_wrong_contents(server):
    whole = (server.root / WEIGHTS.lstrip("/")).read_bytes()
    server.faults[WEIGHTS] = ("content", whole[:-1] + b"x")
    assert "another file than the one listed: its SHA-256 is" in refused(ValueError)
    server.faults[WEIGHTS] = ("content", whole + b"x")
    assert f"more than the {len(whole):,} bytes listed: not used" in refused(ValueError)


def test_broken_connections(server):
    size = (server.root / WEIGHTS.lstrip("/")).stat().st_size
    server.faults[WEIGHTS] = ("cut", None)
    assert f"the connection ended after 1,000 of {size:,} bytes: try again" in refused()
    server.faults[WEIGHTS] = ("status", 404)
    assert "the server answers 404 Not Found" in refused()
    server.faults[WEIGHTS] = ("status", 503)
    assert "the server answers 503" in refused()


def test_no_network_and_no_address(server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address(f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert "no connection: [Errno" in refused()
    address("http://no.such.host.invalid/")
    assert "no connection: " in refused()
    address("file:///tmp/")
    assert "not an address of the web" in refused(ValueError)
    address(None)
    line = refused(FileNotFoundError)
    assert "the manifest holds no address" in line
    assert f"copy checkpoints/{NAME} of the repository to" in line


def test_weights_copied_by_hand_are_used(server):
    shutil.copytree(server.root / NAME, fetching.data_home() / "checkpoints" / NAME)
    address(None)
    assert not upzoo.load(NAME).training
