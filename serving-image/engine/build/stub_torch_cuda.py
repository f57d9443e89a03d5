"""Replaces the CUDA half of PyPI's torch by a stub, for images that never see a GPU.

PyPI carries torch for CUDA only, 2.3 GB of which a CPU engine never calls; but libtorch_python.so is linked
against libtorch_cuda.so, so it can't just be deleted. The stub defines exactly the symbols that are asked of
it: functions that abort with their name, and the typeinfo and vtable objects that pybind11 reads at import.
Small CUDA libraries whose symbols are versioned (cudart, cupti, the cudnn front, cufile) stay as they are.

Runs inside the image build: stub_torch_cuda.py SITE_PACKAGES COMPILER...; knows nothing of Pointsman.
"""

import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# No header and no library: what it uses is in the process by the time it is loaded.
ABORT = """
extern char _ZTVN10__cxxabiv117__class_type_infoE[];
int dprintf(int, const char *, ...);
void abort(void);
static void *slot[8];
static void *nothing(void) { return 0; }
static const struct { void *v; const char *n; } type = {_ZTVN10__cxxabiv117__class_type_infoE + 16, "NoCUDA"};
#define N8 nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing
static void *const table[] = {0, (void *)&type, N8, N8, N8, N8, N8, N8, N8, N8};
static void no_cuda(const char *name) { dprintf(2, "%s: this torch has no CUDA\\n", name); abort(); }
"""

# While torch is imported, defaults of bindings are made (an Options object of NCCL): a constructor leaves an
# object whose every virtual function does nothing. And one function is called,
# which returns the slot where libtorch_python leaves a callback.
RETURNS_SLOT = "_ZN4c10d15get_gil_checkerEv"


@dataclass(frozen=True, slots=True)
class Symbol:
    """One entry of an ELF dynamic symbol table."""

    name: str
    defined: bool


def dynamic_symbols(path: Path) -> Iterator[Symbol]:
    """The global symbols in the .dynsym of a little-endian ELF64 file."""
    data = path.read_bytes()
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]
    for section in sections:
        if section[1] != 11:  # SHT_DYNSYM
            continue
        strings = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, index = struct.unpack_from("<IBBH", data, at)
            if name and info >> 4:  # named, and not local
                end = data.index(b"\0", strings + name)
                yield Symbol(data[strings + name : end].decode(), index != 0)


def wanted(users: list[Path], providers: list[Path]) -> list[str]:
    """Names that `users` leave undefined and `providers` define."""
    provided = {s.name for provider in providers for s in dynamic_symbols(provider) if s.defined}
    asked = {s.name for user in users for s in dynamic_symbols(user) if not s.defined}
    return sorted(asked & provided)


def source(names: list[str]) -> str:
    """C source of a library that defines `names` and can do nothing."""
    lines = [ABORT]
    for i, name in enumerate(names):
        if name.startswith("_ZTI"):
            value = f'{{_ZTVN10__cxxabiv117__class_type_infoE + 16, "{name[4:]}"}}'
            lines.append(f'struct {{ void *v; const char *n; }} d{i} __asm__("{name}") = {value};')
        elif name.startswith(("_ZTV", "_ZTS")):
            lines.append(f'void *d{i}[64] __asm__("{name}");')
        elif name == RETURNS_SLOT:
            lines.append(f'void *f{i}(void) __asm__("{name}"); void *f{i}(void) {{ return slot; }}')
        elif name.endswith(("C1Ev", "C2Ev", "C1Eb", "C2Eb")):
            lines.append(
                f'void f{i}(void **o) __asm__("{name}"); void f{i}(void **o) {{ *o = (void *)(table + 2); }}'
            )
        else:
            lines.append(f'void f{i}(void) __asm__("{name}"); void f{i}(void) {{ no_cuda("{name}"); }}')
    return "\n".join(lines) + "\n"


def replace(libraries: list[Path], users: list[Path], compiler: list[str]) -> None:
    """Puts a stub of what `users` want of all `libraries` in place of the first, and deletes the others."""
    names = wanted(users, libraries)
    for library in libraries:
        library.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        c = Path(scratch, "stub.c")
        c.write_text(source(names))
        options = ["-shared", "-fPIC", "-O1", "-s", "-nostdlib", "-Wl,-z,undefs"]
        soname = f"-Wl,-soname,{libraries[0].name}"
        subprocess.run([*compiler, *options, soname, "-o", str(libraries[0]), str(c)], check=True)
    print(f"{libraries[0].name}: a stub of {len(names)} symbols")


def main(argv: list[str]) -> None:
    """Stubs what is linked and large, then deletes what nothing is linked to any more."""
    site, compiler = Path(argv[0]), argv[1:]
    torch = site / "torch" / "lib"
    cuda = [torch / "libtorch_cuda.so", torch / "libtorch_nvshmem.so", torch / "libcaffe2_nvrtc.so"]
    users = [p for p in torch.glob("*.so") if p not in cuda]
    replace(cuda, users, compiler)
    replace([site / "nvidia" / "nccl" / "lib" / "libnccl.so.2"], users, compiler)
    kept = {"libcudart.so.13", "libcupti.so.13", "libcufile.so.0", "libcudnn.so.9", "libnccl.so.2"}
    for library in (site / "nvidia").rglob("*.so*"):
        if library.name not in kept:
            library.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
