// The C beneath MillraceRecords: CRC-32C here, and the system's zlib, snappy, lz4 and zstd.
//
// A CRC-32C is passed as the finished checksum (0 for no bytes yet), so that any function can continue any other.
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

/// What an exclusive-or of the CRC register with `difference` becomes after `count` more bytes. The checksums of two
/// messages of one length differ by exactly that, which lets a few early bytes change without reading the rest again.
uint32_t millrace_crc32c_shift(uint32_t difference, size_t count);

/// One way of computing both, for the choice between them and for tests.
typedef struct {
  uint32_t (*checksum)(uint32_t crc, const void *bytes, size_t count);
  uint32_t (*shift)(uint32_t difference, size_t count);
} millrace_crc32c_implementation;

/// By table, for any processor.
const millrace_crc32c_implementation *millrace_crc32c_portable(void);
/// By the processor's instructions, NULL where it has none. Asks the processor, which is slow: keep the answer.
const millrace_crc32c_implementation *millrace_crc32c_hardware(void);
#endif
