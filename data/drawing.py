"""Draws synthetic scenes: anti-aliased shapes with random fills over textured backgrounds.

Shapes are signed distances in pixels (negative inside), evaluated on their own bounding box only.
Colour, texture, angle and contrast are drawn without regard to the class: only form tells it.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.random import Generator

Field = np.ndarray  # float32 (h, w)

CLASSES = (
    "background",
    "disc",
    "square",
    "triangle",
    "star",
    "ring",
    "cross",
    "line",
    "dot",
)
# of the objects in a scene; thin and small classes come oftener
SHARES = (0.0, 0.1, 0.1, 0.12, 0.12, 0.1, 0.1, 0.18, 0.18)


def draw(
    key: tuple[int, ...], height: int, width: int, zoom: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """One scene, a function of `key` and size alone.

    Objects are measured in pixels, times `zoom`: a larger scene holds more of them, not larger
    ones. The mask names the topmost object that covers at least half of the pixel.

    Args:
        key: whole numbers, not negative.
        height: of the scene in pixels.
        width: of the scene in pixels.
        zoom: size of the objects; their number goes with 1 / zoom².

    Returns:
        image uint8 (3, height, width), mask uint8 (height, width).
    """
    rng = np.random.default_rng(key)
    image = background(rng, height, width)
    mask = np.zeros((height, width), np.uint8)
    count = max(3, round(rng.integers(12, 21) * height * width / (128 * zoom) ** 2))
    # radii log-uniform over a factor of four: 7 .. 28 pixels in scenes of 94 pixels or more
    radii = min(28.0, 0.3 * min(height, width) / zoom) * 4.0 ** -rng.random(count)
    # larger objects tend to lie below, so that occlusion rarely swallows one whole
    order = np.argsort(-radii * 2.0 ** rng.normal(0.0, 0.7, count))
    kinds = rng.choice(len(CLASSES), count, p=SHARES)
    for radius, kind in zip(radii[order].tolist(), kinds.tolist(), strict=True):
        paint(rng, image, mask, CLASSES[kind], radius, zoom)
    # sensor noise, uniform in -8 .. 7
    noise = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape) >> 4
    image += noise
    image -= 8
    return np.clip(image, 0, 255).astype(np.uint8), mask


def background(rng: Generator, height: int, width: int) -> np.ndarray:
    """Smooth noise at three scales over a base colour, often with stripes; 0 .. 255, (3, h, w)."""
    image = np.empty((3, height, width), np.float32)
    image[:] = rng.uniform(50, 205, (3, 1, 1))
    for spacing, strength in ((64, 60), (20, 35), (6, 20)):
        colour = rng.uniform(-strength, strength, (3, 1, 1)).astype(np.float32)
        image += colour * smooth_noise(rng, height, width, spacing)
    if rng.random() < 0.6:
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        colour = rng.uniform(-30, 30, (3, 1, 1)).astype(np.float32)
        image += colour * stripes(rng, x, y)
    return image


def paint(
    rng: Generator,
    image: np.ndarray,
    mask: np.ndarray,
    kind: str,
    radius: float,
    zoom: float = 1.0,
) -> None:
    """Draws one object of class `kind` into image and mask, in place, anywhere in the scene."""
    height, width = mask.shape
    if kind == "dot":
        radius = rng.uniform(1.5, 3.0)
    cx, cy = rng.uniform(0, width), rng.uniform(0, height)
    reach = radius * zoom + 1
    left, right = max(0, int(cx - reach)), min(width, math.ceil(cx + reach))
    top, bottom = max(0, int(cy - reach)), min(height, math.ceil(cy + reach))
    # offsets of pixel centres from the object's own centre, in its own unit
    unit = np.float32(1 / zoom)
    x = unit * (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - cx))
    y = unit * (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - cy))[:, None]
    # the share of the pixel that lies inside, for an edge that is straight within it
    away = np.float32(zoom) * distance(rng, kind, radius, x, y)
    coverage = np.minimum(np.maximum(0.5 - away, 0), 1)
    patch = image[:, top:bottom, left:right]
    patch += coverage * (fill(rng, patch, x, y) - patch)
    mask[top:bottom, left:right][coverage >= 0.5] = CLASSES.index(kind)


def distance(rng: Generator, kind: str, radius: float, x: Field, y: Field) -> Field:
    """Signed distance in pixels to a shape within `radius` of the origin, at a random angle."""
    if kind in ("disc", "dot"):
        return np.hypot(x, y) - radius
    if kind == "ring":
        half = rng.uniform(0.75, 0.15 * radius + 0.75)
        return np.abs(np.hypot(x, y) - (radius - half)) - half
    angle = rng.uniform(0, 2 * math.pi)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    u, v = cos * x + sin * y, cos * y - sin * x
    if kind == "triangle":
        return star(u, v, radius, 3, 0.5)
    if kind == "square":
        return star(u, v, radius, 4, math.sqrt(0.5))
    if kind == "star":
        return star(u, v, radius, 5, rng.uniform(0.4, 0.5))
    if kind == "cross":
        u, v = np.abs(u), np.abs(v)
        arm = radius * rng.uniform(0.2, 0.3)
        length = math.sqrt(radius**2 - arm**2)
        # the union of two bars is the smaller of their distances
        return np.minimum(np.maximum(u - length, v - arm), np.maximum(v - length, u - arm))
    return line(rng, radius, u, v)


def star(u: Field, v: Field, radius: float, points: int, inner: float) -> Field:
    """Distance to a star of `points` tips at `radius`, its notches at `inner` · `radius`.

    With inner = cos(π / points) the notches are flat: a regular polygon.
    """
    half = math.pi / points
    # fold the plane into half a tip: angle in [0, π / points]
    angle = np.abs(np.mod(np.arctan2(v, u) + np.float32(half), np.float32(2 * half)) - half)
    length = np.hypot(u, v)
    # the edge runs from (radius, 0) to the notch; (nx, ny) is its outward normal
    ex, ey = radius * (inner * math.cos(half) - 1), radius * inner * math.sin(half)
    norm = math.hypot(ex, ey)
    nx, ny = np.float32(ey / norm), np.float32(-ex / norm)
    return nx * (length * np.cos(angle) - np.float32(radius)) + ny * length * np.sin(angle)


def line(rng: Generator, radius: float, u: Field, v: Field) -> Field:
    """Distance to a straight, waved or zigzag stroke, 1 to 3 pixels wide and 2 · `radius` long."""
    half = rng.uniform(0.5, 1.5)
    style = rng.integers(3)
    height = rng.uniform(0.1, 0.25) * radius * (style > 0)
    wave = math.pi * rng.integers(2, 5) / radius
    phase = np.float32(wave) * u + np.float32(rng.uniform(0, 2 * math.pi))
    if style == 1:
        curve, slope = np.sin(phase), np.cos(phase)
    else:
        sine = np.sin(phase)
        # a triangle wave of the sine's height and period
        curve, slope = np.arcsin(np.clip(sine, -1, 1)) * np.float32(2 / math.pi), 2 / math.pi
    rise = np.float32(height)
    # first order: |v - f(u)| / sqrt(1 + f'(u)²)
    away = np.abs(v - rise * curve) / np.sqrt(1 + (rise * np.float32(wave) * slope) ** 2)
    return np.maximum(away - half, np.abs(u) - math.sqrt(0.93) * radius)


def fill(rng: Generator, below: np.ndarray, x: Field, y: Field) -> np.ndarray:
    """A random colour, told apart from what lies below, with a random texture; (3, h, w)."""
    colours = rng.uniform(10, 245, (5, 3)).astype(np.float32)
    contrast = np.abs(colours - below[:, ::4, ::4].mean((1, 2))).mean(1)
    # the first colour with enough contrast, else the one with most
    enough = np.flatnonzero(contrast > 35)
    colour = colours[enough[0] if enough.size else contrast.argmax()][:, None, None]
    tint = rng.uniform(-45, 45, (3, 1, 1)).astype(np.float32)
    style = rng.integers(4)
    if style == 0:
        return colour
    if style == 1:
        return colour + tint * stripes(rng, x, y)
    if style == 2:
        return colour + tint * smooth_noise(rng, y.size, x.size, 5)
    slope = rng.uniform(-1, 1, 2).astype(np.float32) * np.float32(2 / max(x.size, y.size))
    return colour + tint * (slope[0] * x + slope[1] * y)


def stripes(rng: Generator, x: Field, y: Field) -> Field:
    """A plane sine wave in -1 .. 1, at any angle, its period 4 to 24 pixels."""
    angle, phase = rng.uniform(0, 2 * math.pi, 2)
    wave = 2 * math.pi / rng.uniform(4, 24)
    kx, ky = np.float32(wave * math.cos(angle)), np.float32(wave * math.sin(angle))
    return np.sin(kx * x + (ky * y + np.float32(phase)))


def smooth_noise(rng: Generator, height: int, width: int, spacing: float) -> Field:
    """White noise on a grid of `spacing` pixels, smoothed by a Gaussian of half a cell; -1 .. 1."""
    rows, columns = smoother(height, spacing), smoother(width, spacing)
    grid = rng.random((rows.shape[1], columns.shape[1]), np.float32) * 2 - 1
    return rows @ grid @ columns.T


@lru_cache(maxsize=1024)
def smoother(length: int, spacing: float) -> np.ndarray:
    """The matrix (length, cells) that spreads noise on a grid over `length` pixels; rows sum to 1.

    >>> smoother(8, 4).sum(1).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    cells = math.ceil(length / spacing) + 1
    offset = np.arange(length)[:, None] / spacing - np.arange(cells)
    # w = exp(-d² / 2σ²), σ = half a cell, cut at 5σ: subnormal weights would slow the product
    weights = np.where(np.abs(offset) < 2.5, np.exp(-2 * offset**2), 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
