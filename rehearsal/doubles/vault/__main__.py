"""The process `pulumi-resource-vault`."""

from rehearsal.doubles.provider import run_double
from rehearsal.doubles.vault.package import PACKAGE

if __name__ == "__main__":
    run_double(PACKAGE)
