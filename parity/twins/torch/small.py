"""A small network with everything a port can get wrong: strides, padding, BatchNorm, a shortcut, groups, dropout."""

from torch import nn


class Net(nn.Module):
    """For parity/faults; input (N, 3, 32, 24)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(6)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2, bias=False)
        self.bn3 = nn.BatchNorm2d(8)
        self.relu3 = nn.ReLU()
        self.drop1 = nn.Dropout(0.3)
        self.pool2 = nn.AvgPool2d(3, stride=2, padding=1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(8 * 2 * 2, 20)
        self.relu4 = nn.ReLU()
        self.drop2 = nn.Dropout(0.3)
        self.fc2 = nn.Linear(20, 20)
        self.relu5 = nn.ReLU()
        self.fc3 = nn.Linear(20, 10)

    def forward(self, x):
        """Return logits (N, 10)."""
        x = self.relu1(self.pool1(self.bn1(self.conv1(x))))
        x = self.relu2(self.bn2(self.conv2(x)) + x)
        x = self.drop1(self.relu3(self.bn3(self.conv3(x))))
        x = self.flatten(self.pool2(x))
        x = self.drop2(self.relu4(self.fc1(x)))
        return self.fc3(self.relu5(self.fc2(x)))
