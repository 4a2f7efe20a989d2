"""Association files: ``*_asn.json``, a list of products and the members of each."""

import os
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType

from calwebbd.stages.errors import Incomplete, InputError

LARGEST = 2**26  #: bytes of an association file
MOST = 50_000  #: members of a product
LONGEST = 200  #: characters of a product's name; a suffix follows it
_NAME_MAX, _PATH_MAX = 255, 4095  #: bytes, by Linux
UNDEGRADED = "No known degraded exposures in association."


class Member(Struct, frozen=True):
    """One file, and its part in the product: science, background, psf, …"""

    expname: str
    exptype: str
    exposerr: str | None = None
    asn_candidate: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET  #: overrides the exposure's own


class Product(Struct, frozen=True):
    name: str  #: of the files to make, without suffix
    members: tuple[Member, ...]


class Association(Struct, frozen=True, kw_only=True):
    """The content of an association file; keys unknown here are passed over."""

    asn_type: str = "none"
    asn_rule: str = ""
    version_id: str | None = None
    code_version: str = ""
    degraded_status: str = UNDEGRADED
    program: str = "noprogram"
    constraints: str = "No constraints"
    asn_id: str = "a3001"
    asn_pool: str = "none"
    target: str = "none"
    products: tuple[Product, ...]

    @property
    def pipeline(self) -> str:
        """That makes the products, by asn_type: image2 for image2, tso-image2 and wfs-image2, and so on."""
        plain = self.asn_type.lower().removeprefix("tso-").removeprefix("nrslamp-")
        return plain.replace("wfs-image2", "image2")


def load_asn(path: Path) -> Association:
    """Read an association and check it.

    Raises
    ------
    Incomplete
        The file ends too early.
    InputError
        It is no association; a product has no name of its own or no science member;
        a member lies outside of the folder (see `member_path`).
    """
    try:
        return _load(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path.name, step="association") from error
    except InputError as error:
        error.file, error.step = path.name, "association"
        raise


def write_asn(asn: Association, path: Path) -> None:
    """Write JSON, indented by four; a reader sees the whole file or none."""
    code_version = asn.code_version or version("calwebbd")
    encoded = msgspec.json.encode(msgspec.structs.replace(asn, code_version=code_version))
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(msgspec.json.format(encoded, indent=4))
    os.replace(partial, path)


def member_path(folder: Path, member: Member) -> Path:
    """Where the member's file is: `folder` is that of the association file.

    An absolute path stands as it is. A relative one may name a folder below, never one
    above (InputError), so that an association from elsewhere cannot reach out of its folder.
    """
    relative = Path(member.expname)
    if not relative.is_absolute() and ".." in relative.parts:
        raise InputError(f"member {member.expname} lies outside of the association's folder")
    return folder / relative


def asn_file_name(asn: Association, sequence: int = 1) -> str:
    """``jwPPPPP-oNNN[_version]_type_NNNNN_asn.json``; `sequence` counts equal asn_id and asn_type."""
    stamp = f"_{asn.version_id}" if asn.version_id else ""
    return f"jw{asn.program}-{asn.asn_id}{stamp}_{asn.asn_type}_{sequence:05d}_asn.json".lower()


def _load(path: Path) -> Association:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1).rstrip()
    if len(content) > LARGEST:
        raise InputError(f"is larger than {LARGEST} bytes: no association")
    if not content.endswith(b"}"):
        raise Incomplete("ends before the association does")
    try:
        document = msgspec.json.decode(content, type=Association)
    except msgspec.ValidationError as error:
        raise InputError(f"is no association: {error}") from error
    except msgspec.DecodeError as error:
        kind = Incomplete if "truncated" in str(error) else InputError
        raise kind(f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InputError("is no association: it is nested too deep") from error
    if not document.products:
        raise InputError("is no association: it has no product")
    return checked(document, path.parent)


def checked(asn: Association, folder: Path) -> Association:
    """With the roles of members in lower case, as rules compare them.

    folder : of the association file. Raises InputError if a name would lead elsewhere.
    """
    if not _plain(asn_file_name(asn)):
        told = ", ".join(_short(part) for part in (asn.program, asn.asn_id, asn.asn_type))
        raise InputError(f"its program, asn_id and asn_type ({told}) make no plain file name")
    products = tuple(_product(product, folder) for product in asn.products)
    return msgspec.structs.replace(asn, products=products)


def _product(product: Product, folder: Path) -> Product:
    if not _plain(product.name) or len(product.name) > LONGEST:
        raise InputError(f"product name {_short(product.name)} is not a plain file name")
    if len(product.members) > MOST:
        raise InputError(f"product {product.name} has more than {MOST} members")
    members = tuple(msgspec.structs.replace(m, exptype=m.exptype.strip().lower()) for m in product.members)
    if not any(member.exptype == "science" for member in members):
        raise InputError(f"product {product.name} has no science member")
    for member in members:
        name = Path(member.expname).name
        if not name:
            raise InputError(f"a member of {product.name} has no file name")
        if not _plain(name) or not member.expname.isprintable() or len(member.expname) > _PATH_MAX:
            raise InputError(f"member {_short(member.expname)} of {product.name} is not the name of a file")
        member_path(folder, member)
    return Product(product.name, members)


def _plain(name: str) -> bool:
    """Whether it names a file in a folder, in characters that every file system has."""
    alone = Path(name).name == name and name not in {"", ".", ".."} and not name.startswith(".")
    return alone and name.isprintable() and len(name.encode(errors="replace")) <= _NAME_MAX


def _short(text: str) -> str:
    return repr(text if len(text) < 80 else f"{text[:60]}…")
