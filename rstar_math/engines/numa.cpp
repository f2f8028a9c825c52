// What vLLM's CPU build asks of libnuma, for machines that do not have it: no memory can be placed on nodes here.
// `make setup` compiles it where libnuma is missing; `environment.find_numa` loads it.
#include <cstdio>
#include <cstdlib>

namespace {
[[noreturn]] void refuse(const char* name) {
    std::fprintf(stderr, "%s was called although numa_available() is -1; install libnuma1\n", name);
    std::abort();
}
}  // namespace

extern "C" {
int numa_available() { return -1; }
// vLLM asks for these only where NUMA is available.
void numa_bitmask_free(void*) { refuse("numa_bitmask_free"); }
void* numa_get_mems_allowed() { refuse("numa_get_mems_allowed"); }
int numa_migrate_pages(int, void*, void*) { refuse("numa_migrate_pages"); }
void* numa_parse_nodestring(const char*) { refuse("numa_parse_nodestring"); }
void numa_set_interleave_mask(void*) { refuse("numa_set_interleave_mask"); }
void numa_set_membind(void*) { refuse("numa_set_membind"); }
void numa_set_strict(int) { refuse("numa_set_strict"); }
}
