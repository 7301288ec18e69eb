"""The cases by name, in the order of the table."""

from bench.cases.delivery import measure_delivery
from bench.cases.documents import measure_documents
from bench.cases.growth import measure_growth
from bench.cases.memory import measure_memory
from bench.cases.overhead import measure_overhead
from bench.cases.schedules import measure_schedules
from bench.cases.slow_model import measure_slow_model
from bench.cases.sockets import measure_sockets
from bench.cases.stalls import measure_stalls
from bench.cases.start import measure_start
from bench.cases.throughput import measure_throughput
from bench.figures import Case

CASES: dict[str, Case] = {
    "overhead": measure_overhead,
    "throughput": measure_throughput,
    "slow-model": measure_slow_model,
    "growth": measure_growth,
    "start": measure_start,
    "memory": measure_memory,
    "documents": measure_documents,
    "delivery": measure_delivery,
    "schedules": measure_schedules,
    "sockets": measure_sockets,
    "stalls": measure_stalls,
}
