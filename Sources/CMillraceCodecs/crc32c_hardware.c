// CRC-32C with the processor's instructions.
//
// One CRC instruction takes eight bytes and three cycles, and a new one can begin every cycle. So three stretches of the
// input ("lanes") are computed at once and merged. Moving a lane's register past the bytes that follow it is a
// multiplication by a power of x: the carry-less product of two reflected 32-bit values, fed to the CRC instruction as
// data, comes out multiplied by x^33 more, hence the constants x^(8 * bytes - 33).
#include "CMillraceCodecs.h"
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#include <wmmintrin.h>
#define TARGET __attribute__((target("sse4.2,pclmul")))

TARGET static inline uint64_t step8(uint64_t crc, uint64_t data) { return _mm_crc32_u64(crc, data); }
TARGET static inline uint64_t step1(uint64_t crc, uint8_t data) { return _mm_crc32_u8((uint32_t)crc, data); }
TARGET static inline uint64_t product(uint64_t a, uint32_t b) {
  return (uint64_t)_mm_cvtsi128_si64(
      _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a), _mm_cvtsi64_si128((long long)(uint64_t)b), 0));
}
static int available(void) {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_SSE4_2) && (ecx & bit_PCLMUL);
}

#elif defined(__aarch64__)
#include <arm_acle.h>
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#define TARGET __attribute__((target("crc,aes")))

TARGET static inline uint64_t step8(uint64_t crc, uint64_t data) { return __crc32cd((uint32_t)crc, data); }
TARGET static inline uint64_t step1(uint64_t crc, uint8_t data) { return __crc32cb((uint32_t)crc, data); }
TARGET static inline uint64_t product(uint64_t a, uint32_t b) {
  return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64((poly64_t)a, (poly64_t)b)), 0);
}
static int available(void) {
#if defined(__APPLE__)
  return 1;
#elif defined(__linux__)
  unsigned long features = getauxval(AT_HWCAP);
  return (features & (1ul << 7 /* CRC32 */)) && (features & (1ul << 4 /* PMULL */));
#else
  return 0;
#endif
}
#endif

#ifdef TARGET
TARGET static inline uint64_t load(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

// Three lanes of `lane` bytes each. `one` and `two` are x^(8 * bytes - 33) for one and for two lanes.
TARGET static inline __attribute__((always_inline)) uint64_t lanes(
    uint64_t crc, const uint8_t *p, size_t lane, uint32_t one, uint32_t two) {
  uint64_t a = crc, b = 0, c = 0;
  for (size_t i = 0; i < lane; i += 16) {
    a = step8(a, load(p + i));
    b = step8(b, load(p + lane + i));
    c = step8(c, load(p + 2 * lane + i));
    a = step8(a, load(p + i + 8));
    b = step8(b, load(p + lane + i + 8));
    c = step8(c, load(p + 2 * lane + i + 8));
  }
  return step8(0, product(a, two) ^ product(b, one)) ^ c;
}

TARGET static uint32_t checksum(uint32_t crc_so_far, const void *bytes, size_t count) {
  const uint8_t *p = bytes;
  uint64_t crc = (uint32_t)~crc_so_far;
  for (; count >= 3 * 4096; count -= 3 * 4096, p += 3 * 4096) crc = lanes(crc, p, 4096, 0x82f89c77, 0x54a86326);
  for (; count >= 3 * 512; count -= 3 * 512, p += 3 * 512) crc = lanes(crc, p, 512, 0xdd7e3b0c, 0x170076fa);
  for (; count >= 3 * 64; count -= 3 * 64, p += 3 * 64) crc = lanes(crc, p, 64, 0x9e4addf8, 0x0d3b6092);
  for (; count >= 8; count -= 8, p += 8) crc = step8(crc, load(p));
  for (; count > 0; count--) crc = step1(crc, *p++);
  return ~(uint32_t)crc;
}

// x^(8 * 2^k - 33) modulo the polynomial. x has the order 2^31 - 1, so k counts modulo 31.
static const uint32_t power_of_bytes[31] = {
    0xbf818109, 0x780d5a4d, 0x05ec76f1, 0x00000001, 0x493c7d27, 0xba4fc28e, 0x9e4addf8, 0x0d3b6092,
    0xb9e02b86, 0xdd7e3b0c, 0x170076fa, 0xa51b6135, 0x82f89c77, 0x54a86326, 0x1dc403cc, 0x5ae703ab,
    0xc5013a36, 0xac2ac6dd, 0x9b4615a9, 0x688d1c61, 0xf6af14e6, 0xb6ffe386, 0xb717425b, 0x478b0d30,
    0x54cc62e5, 0x7b2102ee, 0x8a99adef, 0xa7568c8f, 0xd610d67e, 0x6b086b3f, 0xd94f3c0b,
};

TARGET static uint32_t shift(uint32_t difference, size_t count) {
  for (int k = 0; count != 0; count >>= 1, k = k == 30 ? 0 : k + 1)
    if (count & 1) difference = (uint32_t)step8(0, product(difference, power_of_bytes[k]));
  return difference;
}

const millrace_crc32c_implementation *millrace_crc32c_hardware(void) {
  static const millrace_crc32c_implementation hardware = {checksum, shift};
  return available() ? &hardware : NULL;
}
#else
const millrace_crc32c_implementation *millrace_crc32c_hardware(void) { return NULL; }
#endif
