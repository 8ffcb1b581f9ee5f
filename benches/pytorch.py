#!/usr/bin/env python3
"""Measures training speed and memory of `interlude train` beside the same model in PyTorch.

Both train cat-mel_2bar_small teacher-forced, with clipping and Adam. The programs run in turn, each
as a process of its own, once for a few steps and once for more: the difference is the processor
time of the steps alone. PyTorch is installed into a virtual environment in `target/pytorch`, which
takes several gigabytes; remove the folder afterwards.

    cargo build --release -p interlude-trainer
    python3 benches/pytorch.py --dataset D --interlude target/release/interlude
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "target"
# The first steps of a process allocate memory; they are not counted.
FEW, UNCOUNTED = 3, 2


def train_in_pytorch(batch, steps, threads):
    """Trains on random tokens and prints the seconds of each step as a JSON list."""
    import torch
    from torch import nn
    from torch.nn import functional

    class MusicVae(nn.Module):
        """A bidirectional encoder, a diagonal posterior, and a decoder of two layers."""

        vocabulary, latent, encoder_units, decoder_units, layers = 90, 256, 512, 256, 2

        def __init__(self):
            super().__init__()
            self.encoder = nn.LSTM(self.vocabulary, self.encoder_units, bidirectional=True)
            self.mean = nn.Linear(2 * self.encoder_units, self.latent)
            self.deviation = nn.Linear(2 * self.encoder_units, self.latent)
            self.start = nn.Linear(self.latent, 2 * self.layers * self.decoder_units)
            width = self.vocabulary + self.latent
            self.decoder = nn.LSTM(width, self.decoder_units, num_layers=self.layers)
            self.output = nn.Linear(self.decoder_units, self.vocabulary)

        def forward(self, tokens, noise, beta):
            steps, examples = tokens.shape
            windows = functional.one_hot(tokens, self.vocabulary).float()
            _, (last, _) = self.encoder(windows)
            embedding = torch.cat([last[0], last[1]], dim=1)
            mean = self.mean(embedding)
            deviation = functional.softplus(self.deviation(embedding))
            code = mean + deviation * noise
            start = torch.tanh(self.start(code)).view(examples, 2, self.layers, -1)
            hidden, cell = start.permute(1, 2, 0, 3).contiguous()
            earlier = torch.cat([torch.zeros_like(windows[:1]), windows[:-1]])
            inputs = torch.cat([earlier, code.expand(steps, -1, -1)], dim=2)
            decoded, _ = self.decoder(inputs, (hidden, cell))
            logits = self.output(decoded).flatten(0, 1)
            reconstruction = functional.cross_entropy(logits, tokens.flatten(), reduction="sum")
            variance = deviation.square()
            divergence = 0.5 * (mean.square() + variance - variance.log() - 1).sum()
            return (reconstruction + beta * divergence) / examples

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = MusicVae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    seconds = []
    for _ in range(steps):
        tokens = torch.randint(0, model.vocabulary, (32, batch))
        noise = torch.randn(batch, model.latent)
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss = model(tokens, noise, 0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - begin)
    print(json.dumps(seconds))


def run(command):
    """Runs a command; gives its output, its processor seconds and its largest resident set."""
    with tempfile.TemporaryFile() as errors:
        command = [str(part) for part in command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status != 0:
            errors.seek(0)
            sys.exit(f"`{command[0]}` failed:\n{errors.read().decode()[-2000:]}")
    return output.decode(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def interlude(options, batch, steps):
    with tempfile.TemporaryDirectory() as folder:
        _, cpu, memory = run(
            [options.interlude, "train", "--dataset", options.dataset, "--out", folder]
            + ["--config", "cat-mel_2bar_small", "--backend", "onnx"]
            + ["--hparams", "sampling_schedule=constant,sampling_rate=0.0"]
            + ["--batch-size", batch, "--steps", steps, "--threads", options.threads]
            + ["--log-every", "1", "--save-every", "1e9"]
            + ["--evaluate-every", "1e9", "--evaluate-windows", "1"]
        )
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
        clock = [line["seconds"] for line in map(json.loads, lines) if "loss" in line]
    return [after - before for before, after in zip(clock, clock[1:])][UNCOUNTED - 1 :], cpu, memory


def pytorch(options, batch, steps):
    arguments = ["--child", "--batch", batch, "--steps", steps, "--threads", options.threads]
    output, cpu, memory = run([options.python, __file__] + arguments)
    return json.loads(output)[UNCOUNTED:], cpu, memory


def environment():
    """A Python with PyTorch; installs it at the first time."""
    folder = TARGET / "pytorch"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", folder])
        install = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "torch", "numpy"]
        subprocess.check_call(install)
    return python


def measure(options, program, batch):
    _, few_cpu, _ = program(options, batch, FEW)
    seconds, cpu, memory = program(options, batch, FEW + options.steps)
    return statistics.median(seconds), (cpu - few_cpu) / options.steps, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="folder of a dataset of two-bar melodies")
    parser.add_argument("--interlude", default=TARGET / "release" / "interlude", help="the program")
    parser.add_argument("--python", help="a Python that has PyTorch; one is made if missing")
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="steps that are measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write the figures to this file, too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        train_in_pytorch(options.batch[0], options.steps, options.threads)
        return
    if not options.dataset:
        parser.error("--dataset is missing")
    options.python = options.python or environment()
    figures = []
    print(f"{'batch':>5} {'program':>10} {'ms/step':>9} {'cpu ms/step':>12} {'peak MiB':>9}")
    for batch in options.batch:
        rounds = {"interlude": [], "pytorch": []}
        for _ in range(options.rounds):
            for program in (interlude, pytorch):
                rounds[program.__name__].append(measure(options, program, batch))
        medians = {}
        for name, measured in rounds.items():
            medians[name] = [statistics.median(column) for column in zip(*measured)]
            seconds, cpu, memory = medians[name]
            print(f"{batch:>5} {name:>10} {1e3 * seconds:>9.0f} {1e3 * cpu:>12.0f} {memory:>9.0f}")
        pairs = list(zip(rounds["interlude"], rounds["pytorch"]))
        wall = statistics.median(theirs[0] / ours[0] for ours, theirs in pairs)
        cpu = statistics.median(theirs[1] / ours[1] for ours, theirs in pairs)
        memory = medians["interlude"][2] / medians["pytorch"][2]
        print(f"{batch:>5} PyTorch's time over Interlude's: {wall:.2f}, of the processor: {cpu:.2f}")
        figure = {"batch": batch, "rounds": rounds, "memory": memory}
        figures.append(figure | {"speed": wall, "speed_cpu": cpu})
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
