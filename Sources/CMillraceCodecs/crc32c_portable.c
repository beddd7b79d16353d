// CRC-32C without special instructions: eight table look-ups for eight bytes, and arithmetic on checksums.
//
// The register is bit-reflected, as the instructions have it: bit 31 is the coefficient of x^0.
#include "CMillraceCodecs.h"
#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82F63B78u

// table[k][b]: the register after byte b and k zero bytes.
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
    table[0][byte] = crc;
  }
  for (int k = 1; k < 8; k++)
    for (int byte = 0; byte < 256; byte++) {
      uint32_t crc = table[k - 1][byte];
      table[k][byte] = (crc >> 8) ^ table[0][crc & 0xFF];
    }
}

static uint32_t checksum(uint32_t crc, const void *bytes, size_t count) {
  pthread_once(&table_once, fill_table);
  const uint8_t *p = bytes;
  crc = ~crc;
  for (; count >= 8; count -= 8, p += 8) {
    uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24]
        ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
  }
  for (; count > 0; count--) crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xFF];
  return ~crc;
}

// The product of two polynomials modulo the CRC's.
static uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    product ^= a & (0u - ((b & bit) != 0));
    a = (a >> 1) ^ (POLYNOMIAL & (0u - (a & 1)));
  }
  return product;
}

// x^(8 * 2^k) modulo the polynomial. x has the order 2^31 - 1, so k counts modulo 31.
static const uint32_t power_of_bytes[31] = {
    0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
    0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
    0xfe7740e6, 0xf946610b, 0x3c204f8f, 0x538586e3, 0x59726915, 0x734d5309, 0xbc1ac763, 0x7d0722cc,
    0xd289cabe, 0xe94ca9bc, 0x05b74f3f, 0xa51e1f42, 0x40000000, 0x20000000, 0x08000000,
};

static uint32_t shift(uint32_t difference, size_t count) {
  for (int k = 0; count != 0; count >>= 1, k = k == 30 ? 0 : k + 1)
    if (count & 1) difference = multiply(difference, power_of_bytes[k]);
  return difference;
}

const millrace_crc32c_implementation *millrace_crc32c_portable(void) {
  static const millrace_crc32c_implementation portable = {checksum, shift};
  return &portable;
}
