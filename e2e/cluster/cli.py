"""The commands that the Makefile calls and people may."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import bringup, gobuild, preflight
from e2e.cluster.bringup import Wish
from e2e.cluster.cluster import Cluster
from e2e.cluster.instance import ClusterError, read_record, this_instance
from e2e.cluster.parts import control_plane_parts, kubernetes_version, node_parts


def main() -> None:
    arguments = parser().parse_args()
    # Asked to end, take down what is half up; without this only an interrupt would.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(arguments.run(arguments))
    except ClusterError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m e2e.cluster", description="The cluster of this working tree."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="bring the cluster up, or find that it is")
    up.add_argument("--context", default="", help="use this context instead of starting a cluster")
    up.add_argument("--kubeconfig", type=Path, help="the file that has the context (default: ~/.kube/config)")
    up.add_argument("--size", choices=("control-plane", "node"), default="node")
    up.add_argument("--provider", choices=("auto", "kind", "bare"), default="auto")
    up.set_defaults(run=run_up)

    simple = {
        "down": ("end the cluster; image store and built parts stay", run_down),
        "status": ("say what is up", run_status),
        "kubeconfig": ("print the path of its kubeconfig", run_kubeconfig),
        "images": ("list the images that pods can use", run_images),
        "prune": ("delete image stores of working trees that are gone", run_prune),
    }
    for name, (text, function) in simple.items():
        commands.add_parser(name, help=text).set_defaults(run=function)

    build = commands.add_parser("build", help="build what a bare cluster consists of")
    build.add_argument("--size", choices=("control-plane", "node"), default="node")
    build.set_defaults(run=run_build)

    check = commands.add_parser("preflight", help="check this machine, and install what is missing")
    check.add_argument("--purpose", choices=("node", "images"), default="node")
    check.set_defaults(run=run_preflight)

    _add_node_commands(commands)
    return top


def _add_node_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    load = commands.add_parser("load", help="bring image archives into the node")
    load.add_argument("archives", nargs="+", type=Path, metavar="TAR")
    load.set_defaults(run=run_load)

    offer = commands.add_parser("accelerators", help="make the node offer accelerators it has not got")
    offer.add_argument("count", type=int)
    offer.add_argument("--resource", default="nvidia.com/gpu")
    offer.set_defaults(run=run_accelerators)

    forward = commands.add_parser(
        "forward", help="reach a Service or pod from this machine, until interrupted"
    )
    forward.add_argument("target", help="service/NAME or pod/NAME")
    forward.add_argument("port")
    forward.add_argument("--namespace", "-n", default="default")
    forward.set_defaults(run=run_forward)

    server = commands.add_parser("api-server", help="take a bare cluster's API server away, or bring it back")
    server.add_argument("what", choices=("stop", "start"))
    server.set_defaults(run=run_api_server)

    inside = commands.add_parser("run", help="run a command on the node (absolute paths)")
    inside.add_argument("argv", nargs=argparse.REMAINDER)
    inside.set_defaults(run=run_inside)


def run_up(arguments: argparse.Namespace) -> int:
    wish = Wish(arguments.size, arguments.context, arguments.kubeconfig, arguments.provider)
    started = time.monotonic()
    cluster = bringup.up(wish)
    print(
        f"The cluster is up ({time.monotonic() - started:.1f}s). Its kubeconfig:\n\n  {cluster.kubeconfig}\n"
    )
    print(f"Use it:    export KUBECONFIG={cluster.kubeconfig}")
    print(f"           {cluster.kubectl.program} get nodes")
    print("End it:    make down")
    return 0


def run_down(_: argparse.Namespace) -> int:
    bringup.down()
    print("The cluster of this tree is down; its image store and the built parts are kept.")
    return 0


def run_status(_: argparse.Namespace) -> int:
    """Exits 0 when the cluster is up and answers."""
    instance = this_instance()
    record = read_record(instance)
    if record is None:
        print(f"{instance.name}: down")
        return 1
    cluster = bringup.CLASSES[record.provider](instance, record)
    state = "unfinished" if not record.up else "up" if cluster.alive() else "not answering"
    version = f", Kubernetes {record.kubernetes}" if record.kubernetes else ""
    print(f"{instance.name}: {state} ({record.provider}, {record.size}{version})")
    print(f"kubeconfig: {instance.kubeconfig}")
    if record.provider == "bare":
        print(f"logs:       {instance.logs}\nimages:     {instance.store}")
    return 0 if state == "up" else 1


def run_kubeconfig(_: argparse.Namespace) -> int:
    print(bringup.current().kubeconfig)
    return 0


def run_images(_: argparse.Namespace) -> int:
    for name, digest in sorted(bringup.current().images().items()):
        print(name, digest)
    return 0


def run_prune(_: argparse.Namespace) -> int:
    for name in bringup.prune(this_instance().cache):
        print(f"deleted the images of {name}")
    return 0


def run_build(arguments: argparse.Namespace) -> int:
    cache, version = this_instance().cache, kubernetes_version(os.environ)
    module = gobuild.kubernetes_module_folder(version, cache)
    parts = control_plane_parts(module, version)
    if arguments.size == "node":
        parts += node_parts(module, version)
    for name, path in gobuild.ensure(parts, cache).items():
        print(f"{name:26} {path}")
    return 0


def run_preflight(arguments: argparse.Namespace) -> int:
    if arguments.purpose == "images":
        preflight.ensure_programs(preflight.IMAGE_PROGRAMS)
    else:
        preflight.check_node(this_instance().cache)
    print(f"This machine has what {'a node' if arguments.purpose == 'node' else 'building images'} needs.")
    return 0


def run_load(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    loaded = bringup.current().load(arguments.archives)
    took = f"({time.monotonic() - started:.1f}s)"
    print("\n".join(f"loaded {name}" for name in loaded) if loaded else "nothing new to load", took)
    return 0


def run_accelerators(arguments: argparse.Namespace) -> int:
    bringup.current().advertise(arguments.count, arguments.resource)
    print(f"The node offers {arguments.count} of {arguments.resource}.")
    return 0


def run_forward(arguments: argparse.Namespace) -> int:
    cluster: Cluster = bringup.current()
    with cluster.forward(arguments.target, arguments.port, arguments.namespace) as address:
        print(f"http://{address}", flush=True)
        while True:
            time.sleep(3600)


def run_api_server(arguments: argparse.Namespace) -> int:
    cluster = bringup.current()
    if arguments.what == "stop":
        cluster.stop_api_server()
    else:
        cluster.start_api_server()
    print(f"The API server {'is gone' if arguments.what == 'stop' else 'answers'}.")
    return 0


def run_inside(arguments: argparse.Namespace) -> int:
    argv: Sequence[str] = [part for part in arguments.argv if part != "--"]
    done = bringup.current().run_inside(argv)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode
