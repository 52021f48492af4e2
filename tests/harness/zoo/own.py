"""The tutorials' networks, and networks as people write them."""

import torch
from nets_to_translate import Gates, Language, Patches, Residual, Sequences, UNet
from pairs.dcgan import Generator
from pairs.detection_head import RetinaNetHead
from pairs.gnn import EDGES, GNN, NODES
from pairs.gru_classifier import GRUClassifier
from pairs.pointnet import PointNet
from pairs.seq2seq import Seq2Seq
from pairs.vae import VAE
from pairs.wavenet import WaveNet
from torch import nn

from parity.twins.torch import cifar, families, lenet, mlp, mnist
from zoo.row import Row, numbers, tokens


class LoRA(nn.Module):
    """A Linear that is frozen, and a product of two thin matrices beside it."""

    def __init__(self, inner, outer, rank=2, alpha=4.0):
        super().__init__()
        self.base = nn.Linear(inner, outer).requires_grad_(False)
        self.lora_A = nn.Parameter(torch.randn(rank, inner) * 0.1)
        self.lora_B = nn.Parameter(torch.zeros(outer, rank))
        self.dropout, self.scale = nn.Dropout(0.1), alpha / rank

    def forward(self, x):
        return self.base(x) + (self.dropout(x) @ self.lora_A.T @ self.lora_B.T) * self.scale


class AdaptedClassifier(nn.Module):
    """A multilayer perceptron with LoRA."""

    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = LoRA(10, 16), nn.LayerNorm(16), LoRA(16, 4)

    def forward(self, x):
        return self.down(torch.relu(self.norm(self.up(x))))


class ImageAndTable(nn.Module):
    """An image and a row of a table, joined."""

    def __init__(self):
        super().__init__()
        self.conv, self.block = nn.Conv2d(3, 4, 3, padding=1), Residual(4, 6, 2, shortcut=True)
        self.table = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Linear(6 * 4 * 3 + 8, 2)

    def forward(self, image, row):
        x = self.block(torch.relu(self.conv(image))).flatten(1)
        return self.head(torch.cat([x, self.table(row)], dim=1))


ROWS = [
    Row("N1 LeNet", lenet.Net, (numbers(2, 1, 32, 32),)),
    Row("N2 CIFAR-10", cifar.Net, (numbers(2, 3, 32, 32),)),
    Row("N3 MLP", mlp.NeuralNetwork, (numbers(2, 1, 28, 28),)),
    Row("N4 MNIST", mnist.Network2, (numbers(2, 1, 28, 28),)),
    Row("N5 MNIST, unfinished", mnist.Network1, (numbers(2, 1, 28, 28),)),
    Row("N6 ResNet18", lambda: families.build("resnet18"), (numbers(2, 3, 64, 48),)),
    Row("N7 VGG11", lambda: families.build("vgg11_bn"), (numbers(2, 3, 32, 32),)),
    Row("N8 AlexNet", lambda: families.build("alexnet"), (numbers(2, 3, 64, 64),)),
    Row("N9 Inception", lambda: families.build("inception_v3", aux_logits=False), (numbers(4, 3, 139, 107),)),
    Row("LSTM classifier", Sequences, (numbers(3, 6, 5),)),
    Row("GRU classifier", GRUClassifier, (tokens(4, 9, high=30),)),
    Row("seq2seq", Seq2Seq, (tokens(2, 9, high=30), tokens(2, 7, high=24))),
    Row("U-Net", UNet, (numbers(2, 3, 12, 8),)),
    Row("DCGAN", Generator, (numbers(5, 7),)),
    Row("VAE", VAE, (numbers(4, 10), numbers(4, 3, seed=1))),
    Row("WaveNet", WaveNet, (numbers(2, 3, 19),)),
    Row("PointNet", PointNet, (numbers(5, 3, 11),)),
    Row("GNN", GNN, (numbers(NODES, 5), EDGES), batch=False),
    Row("nanoGPT", Language, (tokens(3, 7, high=11),)),
    Row("detection head", RetinaNetHead, (numbers(2, 6, 6, 4), numbers(2, 6, 3, 2, seed=1))),
    Row("LoRA", AdaptedClassifier, (numbers(3, 10),)),
    Row("image and table", ImageAndTable, (numbers(3, 3, 8, 6), numbers(3, 5))),
    Row("ViT, two outputs by name", Patches, (numbers(3, 3, 12, 8),)),
    Row("gates, two outputs", Gates, (numbers(3, 4), numbers(3, 5))),
]
