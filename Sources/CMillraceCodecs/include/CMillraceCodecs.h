#ifndef CMILLRACE_CODECS_H
#define CMILLRACE_CODECS_H
#include <stddef.h>
#include <stdint.h>
#include <lz4.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

/// CRC-32C (Castagnoli) of `count` bytes, continuing from `crc` (0 to begin).
/// Uses the SSE 4.2 or ARMv8 CRC instructions where the processor has them.
uint32_t millrace_crc32c(uint32_t crc, const void *bytes, size_t count);
/// The same by table, for processors without the instructions and for tests.
uint32_t millrace_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
#endif
