// Chooses the implementation of CRC-32C once, on the first call.
#include "CMillraceCodecs.h"
#include <stdatomic.h>

static _Atomic(const millrace_crc32c_implementation *) chosen = NULL;

// Threads that arrive together all find and store the same answer, so no lock is needed.
static const millrace_crc32c_implementation *choose(void) {
  const millrace_crc32c_implementation *implementation = millrace_crc32c_hardware();
  if (implementation == NULL) implementation = millrace_crc32c_portable();
  atomic_store_explicit(&chosen, implementation, memory_order_relaxed);
  return implementation;
}

static inline const millrace_crc32c_implementation *implementation(void) {
  const millrace_crc32c_implementation *known = atomic_load_explicit(&chosen, memory_order_relaxed);
  return known != NULL ? known : choose();
}

uint32_t millrace_crc32c(uint32_t crc, const void *bytes, size_t count) {
  return implementation()->checksum(crc, bytes, count);
}

uint32_t millrace_crc32c_shift(uint32_t difference, size_t count) { return implementation()->shift(difference, count); }
