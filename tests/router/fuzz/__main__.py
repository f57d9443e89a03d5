"""Coverage-guided fuzzing of the router's parsers and all that listens to them: `make fuzz`.

atheris (libFuzzer) mutates conversations for as long as it is told to; the properties are `test_fuzz`'s.
What fails is written to a file beside the corpus and printed, to become a case of a test.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pointsman_router"]):
    from tests.router.fuzz import samples
    from tests.router.fuzz.conversation import check


def main() -> None:
    """Fuzzes for `--seconds`. Ends the process: with 0 when nothing was found."""
    parser = argparse.ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--corpus", type=Path, default=Path(".build/fuzz"))
    arguments = parser.parse_args()
    corpus: Path = arguments.corpus / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(samples.corpus()):
        (corpus / f"sample-{number:02}").write_bytes(data)
    options = [
        f"-max_total_time={arguments.seconds}",
        "-max_len=8192",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={arguments.corpus}/",
        "-print_final_stats=1",
    ]
    run = asyncio.new_event_loop().run_until_complete  # one loop for all: making one costs more than a case
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: check(*samples.split(data), run))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
