"""Start from other weights: what is carried over, what is not, and that the run remembers."""

import pytest
import torch
from omegaconf import OmegaConf

import upzoo
from runs import console, records
from tasks import transfer
from tests.conftest import compose_config
from tests.models.test_zoo import FCN, add
from upzoo import checkpoint, zoo


def fcn(upsample="TransposedConv", seed=0, num_classes=3, **options):
    torch.manual_seed(seed)
    operator = {"_target_": f"models.upsampling.{upsample}", "_partial_": True, **options}
    spec = FCN | {"upsample": operator, "num_classes": num_classes}
    net = checkpoint.build(spec)
    for score in net.scores:  # zero at the start, which would look alike
        torch.nn.init.normal_(score.weight)
    return net, spec


def saved(tmp_path, net, spec):
    return str(checkpoint.save(tmp_path / "source", net, {"model": spec}))


def split(net, other):
    """Names of tensors that are equal in both nets, and of those that are not."""
    mine, theirs = net.state_dict(), other.state_dict()
    equal = {k for k in mine if k in theirs and torch.equal(mine[k], theirs[k])}
    return equal, set(mine) - equal


def test_the_same_net_is_carried_over_whole(tmp_path):
    source, spec = fcn(seed=1)
    net, _ = fcn()
    carried = transfer.transfer_weights(net, saved(tmp_path, source, spec))
    assert split(net, source)[1] == set()
    assert carried.left_out == {}
    assert carried.parameters == carried.of == sum(p.numel() for p in source.parameters())


def test_other_classes_leave_out_the_scores_and_what_enlarges_them(tmp_path):
    source, spec = fcn(seed=1)
    net, _ = fcn(num_classes=5)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    carried = transfer.transfer_weights(net, saved(tmp_path, source, spec))
    equal, unequal = split(net, source)
    assert equal == {k for k in before if k.startswith("backbone.")}
    assert all(torch.equal(net.state_dict()[k], before[k]) for k in unequal)
    layers = [f"{part}.{i}" for part in ("scores", "upsamples") for i in range(3)]
    assert carried.left_out == {"another shape": layers}
    assert str(carried).splitlines()[1:] == [
        "  starts anew, another shape: scores (3), upsamples (3)"
    ]
    assert carried.parameters == sum(p.numel() for p in net.backbone.parameters())


def test_weights_of_another_operator_stay_out_though_names_and_shapes_agree(tmp_path):
    source, spec = fcn("TransposedConv", seed=1, kernel=9)
    net, _ = fcn("ResizeConv", kernel=9)
    before = net.upsamples[0].weight.clone()
    assert before.shape == source.upsamples[0].weight.shape
    carried = transfer.transfer_weights(net, saved(tmp_path, source, spec))
    layers = [f"upsamples.{i}" for i in range(3)]
    assert carried.left_out == {"another operator": layers}
    assert split(net, source)[1] == {f"{layer}.weight" for layer in layers}
    assert torch.equal(net.upsamples[0].weight, before)


def test_operators_without_weights_leave_the_sources_unused(tmp_path):
    source, spec = fcn(seed=1)
    net, _ = fcn("Interpolate")
    carried = transfer.transfer_weights(net, saved(tmp_path, source, spec))
    layers = [f"upsamples.{i}" for i in range(3)]
    assert carried.left_out == {"of the source, without a place here": layers}
    assert split(net, source)[1] == set()
    assert "left out, of the source, without a place here: upsamples (3)" in str(carried)


def test_a_layer_comes_whole_or_not_at_all(tmp_path):
    """A score of fewer inputs has the same bias, which means nothing without its weight."""
    source, spec = fcn(seed=1)
    for score in source.scores:
        torch.nn.init.ones_(score.bias)
    net, _ = fcn()
    net.scores[0] = torch.nn.Conv2d(7, 3, 1)
    bias = net.scores[0].bias.clone()
    carried = transfer.transfer_weights(net, saved(tmp_path, source, spec))
    assert carried.left_out == {"another shape": ["scores.0"]}
    assert torch.equal(net.scores[0].bias, bias)
    assert torch.equal(net.scores[1].bias, torch.ones(3))


def test_a_shipped_generator_goes_into_the_generator_of_a_pair(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    from tests.test_hub import GENERATOR

    add("dcgan_transposed_conv.mnist", GENERATOR)
    source = zoo.load("dcgan_transposed_conv.mnist")
    options = {"size": [32, 32], "in_channels": 1, "latent": 5, "width": 4}
    net = upzoo.create("dcgan", "transposed_conv", **options)
    carried = transfer.transfer_weights(net, "dcgan_transposed_conv.mnist")
    assert split(net.generator, source)[1] == set()
    assert carried.parameters == sum(p.numel() for p in net.generator.parameters())
    assert set(carried.left_out) == {"not in the source"}
    assert all(name.startswith("discriminator.") for name in carried.left_out["not in the source"])


def test_nothing_that_fits_nothing_there_and_no_such_name(tmp_path):
    net, _ = fcn()
    unet = upzoo.create("unet", "interpolate", num_classes=3, width=4, depth=2)
    spec = {"_target_": "models.unet.UNet", "width": 4, "depth": 2, "num_classes": 3}
    spec["upsample"] = {"_target_": "models.upsampling.Interpolate", "_partial_": True}
    folder = saved(tmp_path, unet, spec)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    for init, error, message in (
        (folder, ValueError, "no layer of that unet fits this fcn8s"),
        ("nowhere/seed0", FileNotFoundError, "nowhere/seed0: no such checkpoint"),
        ("nosuch_name", ValueError, "'nosuch_name' is no checkpoint of the zoo"),
    ):
        with pytest.raises(error, match=message) as caught:
            transfer.transfer_weights(net, init)
        assert "\n" not in console.explain(caught.value)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_run_starts_from_another_and_remembers_it(train_run, trained, tmp_path, capsys):
    still = ("upsample=pixel_shuffle", "trainer.max_epochs=1", "task.lr=1e-30",
             "task.weight_decay=0", "callbacks.artifacts=null", "artifacts=0")  # fmt: skip
    run = train_run(f"init={trained}", *still, logs=tmp_path)
    out = capsys.readouterr().out
    assert f"init={trained}: " in out
    assert "starts anew, another operator: upsamples (3)" in out
    config = records.read(run / "record.json").config
    assert config["init"] == str(trained)
    assert config["init_left_out"] == {"another operator": [f"upsamples.{i}" for i in range(3)]}
    assert OmegaConf.load(run / "config.yaml").init_left_out == config["init_left_out"]
    net, source = checkpoint.load(run)[0], checkpoint.load(trained)[0]
    for name, value in source.named_parameters():
        found = net.get_parameter(name)
        torch.testing.assert_close(found, value, rtol=0, atol=1e-29, msg=name)  # steps of 1e-30

    last = f"ckpt={run / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(ValueError, match=r"init was '.*' and is now None"):
        train_run(last, *still, logs=tmp_path)
    assert train_run(last, f"init={trained}", *still, logs=tmp_path) == run


def narrow(tmp_path):
    options = {"backbone": "compact", "width": 4, "decoder_widths": [[3], [4], [5], [6], [7]]}
    spec = {"_target_": "models.unet.UNet", **options, "num_classes": 3}
    spec["upsample"] = {"_target_": "models.upsampling.Interpolate", "_partial_": True}
    return saved(tmp_path, checkpoint.build(spec), spec), options


def test_the_model_takes_the_sources_options_where_none_were_chosen(tmp_path, capsys):
    source, options = narrow(tmp_path)
    cfg = compose_config("train", [f"init={source}", "model=unet", "upsample=carafe"])
    transfer.inherit_options(cfg)
    assert {name: cfg.model[name] for name in options} == options
    assert cfg.model.upsample._target_ == "models.upsampling.Carafe"
    assert cfg.model.num_classes is None
    out = capsys.readouterr().out
    assert "model.backbone=compact model.width=4 model.decoder_widths=[[3], [4]" in out
    transfer.inherit_options(cfg)
    assert capsys.readouterr().out == "", "nothing is left to change"


@pytest.mark.parametrize("chosen", [["model.width=8"], ["experiment=unet_camvid"]])
def test_what_was_chosen_stays(tmp_path, chosen):
    source, options = narrow(tmp_path)
    cfg = compose_config("train", [f"init={source}", "model=unet", *chosen])
    transfer.inherit_options(cfg)
    given = chosen == ["model.width=8"]
    assert cfg.model.width == (8 if given else 12)
    assert cfg.model.backbone == "compact"
    widths = [[16], [32], [48, 48], [64, 64], [96]]
    expected = options["decoder_widths"] if given else widths
    assert cfg.model.decoder_widths == expected


def test_another_kind_of_net_changes_no_option(tmp_path):
    source, _ = narrow(tmp_path)
    cfg = compose_config("train", [f"init={source}", "model=fcn"])
    before = OmegaConf.to_container(cfg.model)
    transfer.inherit_options(cfg)
    assert OmegaConf.to_container(cfg.model) == before
