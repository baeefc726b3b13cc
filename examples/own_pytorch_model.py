"""How much of its accuracy does a network of PyTorch keep within 2 ms? ``python own_pytorch_model.py [ROUNDS]``."""

import sys

import torch

import tail_quality as tq

torch.manual_seed(0)
pictures = torch.rand(40, 1, 28, 28)
labels = (pictures.mean(dim=(1, 2, 3)) > 0.5).long()  # is it bright?
network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(28 * 28, 2))
with torch.no_grad():
    network[1].weight.copy_(torch.stack([torch.zeros(28 * 28), torch.ones(28 * 28)]))
    network[1].bias.copy_(torch.tensor([28 * 28 / 2, 0.0]))

result = tq.measure(network, pictures, labels, deadline="2 ms", rounds=int(sys.argv[1]) if sys.argv[1:] else 60, name="brightness")
print(result)
print(f"p99: {result.latency(99):.3g} ms")
