"""``python -m zeroi2v_bench``, for launchers such as torchrun."""

from zeroi2v_bench.cli import main

main(prog_name="zeroi2v-bench")
