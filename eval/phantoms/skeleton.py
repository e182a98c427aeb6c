"""Bones as clouds of small masses along 3-D curves, so that overlap and edge-on brightness come out by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, chord, smoothstep

Cloud = tuple[Array, Array, Array]  # x, y (mm) and volume (mm^3), one shape


def magnify(anatomy: Anatomy, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """Where the ray through (x, y, z) meets the detector: a little turned, and larger the nearer to the tube."""
    scale = 1.0 + z * np.float32(1 / 1900)
    middle = np.float32(anatomy.shift_y)
    return (x + anatomy.rotation * z) * scale, (y - middle) * scale + middle


def _tube(path: Array, height: Array, radii: tuple[Array, Array], cortex: float, step: float) -> Cloud:
    """Shell and marrow of a flattened tube round `path` (..., n, 3); `height` is the unit axis of radii[0].

    Volumes are in mm^3 of cortical bone, the marrow at the weight of its mineral. Two layers of lines stand for the
    thickness: enough to look right face on and edge on.
    """
    tangent = np.gradient(path, axis=-2)
    ds = np.linalg.norm(tangent, axis=-1)
    normal = np.cross(tangent / (ds[..., None] + 1e-6), height)
    tall, thick = radii
    k = max(6, int(np.ceil(2.0 * float(np.max(tall)) / (1.3 * step))))
    u = _column((np.arange(k) + 0.5) * (2.0 / k) - 1.0, path)
    round_off = np.sqrt(1.0 - u**2)
    hollow = np.sqrt(np.maximum(1.0 - (u * tall / (tall - cortex)) ** 2, 0.0)) * (thick - cortex) / thick
    mineral = 2.0 * thick * (round_off - 0.88 * hollow) * tall * (2.0 / k) * ds
    rise = u * tall
    cloud = []
    for layer in (-0.6, 0.6):
        bulge = layer * thick * round_off
        x = path[..., 0] + rise * height[..., 0] + bulge * normal[..., 0]
        y = path[..., 1] + rise * height[..., 1] + bulge * normal[..., 1]
        cloud.append((x, y, mineral / 2))
    xs, ys, vs = (np.concatenate([c[i] for c in cloud]).astype(np.float32) for i in range(3))
    return xs, ys, vs


def _column(values: Array, path: Array) -> Array:
    """(k,) → (k, 1, …, 1): the lines across run first, the curve last."""
    return values.astype(np.float32).reshape(-1, *([1] * (path.ndim - 1)))


def rib_axis(anatomy: Anatomy, side: Any, number: Any, t: Any) -> tuple[Array, Array, Array]:
    """x, y, z of the axis of rib `number` (0 to 9) at `t` right angles from the back."""
    theta = t * np.float32(np.pi / 2)
    drop = anatomy.rib_drop * np.clip(0.80 + 0.08 * number, 0, 1.14)
    y = (
        anatomy.rib_pitch * number
        - 4.0
        + drop * t ** (1.25 + 0.15 * np.minimum(number, 3.0))
        - np.minimum(2.0 + 1.5 * number, 6.0) * np.sin(np.clip(t, 0, 1) * np.pi)
    )
    x = side * (np.maximum(anatomy.width(y), 38.0) + 3.0) * np.sin(theta) ** 0.9
    z = (anatomy.depth(y) + 3.0) * np.cos(theta) + 0 * side
    return x, y, z


def ribs(anatomy: Anatomy, step: float, *, lateral: bool = False) -> Cloud:
    """Ribs 1 to 10 of both sides, from the spine round the side to the costal cartilage; `lateral`: from the side."""
    n = int(np.ceil(330.0 / step))
    number = np.arange(10, dtype=np.float32)[None, :, None]
    side = np.asarray([-1, 1], np.float32)[:, None, None]
    t = np.linspace(0.04, 1.0, n, dtype=np.float32) * (1.52 - 0.012 * number)  # in right angles from the back
    theta = t * np.float32(np.pi / 2)
    x, y, z = rib_axis(anatomy, side, number, t)
    path = np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float32)
    tangent = np.gradient(path, axis=-2)
    outward = np.stack(np.broadcast_arrays(side * np.sin(theta), 0 * y, np.cos(theta)), -1)
    height = np.cross(tangent, outward)
    height /= np.linalg.norm(height, axis=-1, keepdims=True)
    if lateral:
        path, height = path[..., ::-1], height[..., ::-1]
    else:
        px, py = magnify(anatomy, path[..., 0], path[..., 1], path[..., 2])
        path = np.stack([px, py, path[..., 2]], -1)
    taper = np.linspace(0, 1, n, dtype=np.float32)
    fade = smoothstep(1.0, 0.9, taper) * smoothstep(
        0.0, 0.10, taper
    )  # the bone turns into cartilage, it does not end in a cap
    fade = fade * (1.0 - 0.5 * np.sin(theta) ** 10)  # the shaft is thinnest at the side
    xs, ys, volume = _tube(path, height.astype(np.float32), (5.4 + 1.6 * taper, 2.6 + 0 * taper), 0.9, step)
    return xs.ravel(), ys.ravel(), (volume * fade).ravel().astype(np.float32)


def _girdle_knots(anatomy: Anatomy) -> tuple[Array, Array]:
    """Cortex in mm (5,) and control points (5, 5, 3) of x, y, radius: clavicle, three edges of the scapula, arm.

    Control points are those of the patient's left side; the right is its mirror, but for rotation.
    """
    w, up, s = anatomy.half_width / 140.0, -anatomy.shoulder, anatomy.scapula
    bones = [
        [(13, 48 - up, 7.5), (36, 41 - up, 5.8), (80 * w, 31 - 0.6 * up, 5), (120 * w, 15, 5.2), (160 * w, 6, 6.5)],
        [(s - 4, 40, 2.5), (s + 10, 28, 3), (s + 24, 18, 3.5), (172 * w, 4, 5.5), (186 * w, 4, 7)],
        [(s - 4, 16, 1.4), (s - 7, 46, 1.5), (s - 5, 80, 1.7), (s + 3, 116, 2.2), (s + 14, 144, 3)],
        [(s + 14, 144, 3), (s + 24, 116, 3.2), (s + 36, 92, 3.5), (170 * w, 52, 5), (174 * w, 24, 8)],
        [(191 * w, 12, 16), (193 * w, 27, 23), (198 * w, 48, 16), (207 * w, 84, 11), (226 * w, 180, 10)],
    ]
    knots = np.asarray(bones, np.float32)
    knots[..., 1] += up  # all of it rides on the shoulder
    return np.asarray([1.5, 0.5, 0.5, 0.6, 1.5], np.float32), knots


def clavicle(anatomy: Anatomy, side: int) -> Array:
    """The axis of a clavicle in the picture's plane, (n, 2) mm; side -1 is the patient's right."""
    _, knots = _girdle_knots(anatomy)
    fine = PchipInterpolator(np.arange(5), knots[0, :, :2])(np.linspace(0.5, 3.0, 40)).astype(np.float32)
    fine[:, 0] *= side
    return fine


def _girdle(anatomy: Anatomy, step: float) -> Cloud:
    """Clavicles, scapulae and upper arms as tubes in the picture's plane."""
    cortex, knots = _girdle_knots(anatomy)
    n = int(np.ceil(190.0 / step))
    fine = PchipInterpolator(np.arange(5), knots, axis=1)(np.linspace(0, 4, 65))
    even = np.stack([_respace(curve, n) for curve in fine])
    sides = np.stack([even, even]).astype(np.float32)
    sides[0, ..., 0] *= -1
    t = np.linspace(0, 1, n, dtype=np.float32)
    sides[:, 0, :, 0] += anatomy.rotation * -90.0 * (1 - t) ** 1.5  # clavicles end in front and show rotation first
    path = np.concatenate([sides[..., :2], np.zeros_like(sides[..., :1])], -1)
    tangent = np.gradient(path, axis=-2)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-6
    height = np.stack([-tangent[..., 1], tangent[..., 0], 0 * tangent[..., 0]], -1)
    ends = smoothstep(0.0, 0.04, t) * smoothstep(1.0, 0.96, t)
    clouds = []
    for i, thickness in enumerate(cortex):
        radius = sides[:, i, :, 2]
        x, y, volume = _tube(path[:, i], height[:, i], (radius, radius), float(thickness), step)
        clouds.append((x, y, volume * ends))
    xs, ys, volumes = (np.concatenate([c[i].ravel() for c in clouds]) for i in range(3))
    return xs, ys, volumes


def _respace(points: Array, n: int) -> Array:
    """`points` (k, 3) resampled at n equal steps of arc length, so that no bone is drawn thinner where it is long."""
    run = np.concatenate([[0.0], np.hypot(*np.diff(points[:, :2], axis=0).T).cumsum()])
    at = np.linspace(0.0, run[-1], n)
    return np.stack([np.interp(at, run, column) for column in points.T], -1).astype(np.float32)


def _spine(anatomy: Anatomy, canvas: Canvas) -> tuple[slice, Array]:
    """Vertebral bodies with end plates, pedicles and spinous processes, on the columns near the midline."""
    shift = anatomy.rotation * anatomy.half_depth * 0.75
    near = np.flatnonzero(np.abs(canvas.x[0] - shift) < 46.0)
    columns = slice(int(near[0]), int(near[-1]) + 1)
    x, y = canvas.x[:, columns] - shift, canvas.y
    level = y / anatomy.rib_pitch + 0.15
    phase = (level - np.floor(level) - 0.5) * 2.0  # -1..1 within one vertebra
    grow = 1.0 + 0.0012 * np.clip(y, -80, 300)
    waist = 16.5 * grow * (0.93 + 0.10 * phase**2)
    body = smoothstep(0.94, 0.80, np.abs(phase))
    plate = np.exp(-(((np.abs(phase) - 0.82) / 0.08) ** 2))
    bone = chord((x / waist) ** 2, 4.2) * (0.25 + 0.75 * body) + chord((x / waist) ** 2, 1.8) * plate
    bone += 0.9 * np.exp(-(((np.abs(x) - waist + 1.2) / 1.3) ** 2)) * body
    pedicle = np.hypot((np.abs(x) - 10.5 * grow) / 3.4, (phase + 0.25) * anatomy.rib_pitch / 2 / 5.0)
    bone += 1.7 * np.exp(-(((pedicle - 1.0) / 0.32) ** 2))
    tip = np.hypot(x / 2.6, (phase - 0.55) * anatomy.rib_pitch / 2 / 5.5)
    bone += 2.0 * smoothstep(1.25, 0.75, tip)
    process = (np.abs(x) - 26.0 * grow) / 9.0
    bone += 0.8 * smoothstep(1.1, 0.4, np.hypot(process, (phase + 0.35) * anatomy.rib_pitch / 2 / 4.2))
    bone *= 0.42
    return columns, bone.astype(np.float32)


def skeleton(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Path length through mineral, mm of cortical bone, shape (size, size)."""
    step = 0.9 * canvas.spacing
    clouds = [ribs(anatomy, step), _girdle(anatomy, step)]
    x, y, volume = (np.concatenate([c[i] for c in clouds]) for i in range(3))
    bone = canvas.splat(x, y, volume)
    columns, spine = _spine(anatomy, canvas)
    bone[:, columns] += spine
    return bone * np.float32(anatomy.bone)
