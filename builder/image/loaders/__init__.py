"""Boot loaders, by the name that board.toml, [disk] or [flash] loader gives."""

from builder.image.loaders import direct, grub, uboot, uimage
from builder.image.loaders.loader import Loader

LOADERS: dict[str, Loader] = {"grub-pc": grub, "u-boot": uboot, "direct": direct, "uimage": uimage}
