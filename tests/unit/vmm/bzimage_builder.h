// Builds small bzImages for tests, with each of the compressions that kernels use.
#pragma once

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

namespace patchbay::vmm {

using Bytes = std::vector<std::byte>;

inline void append_word(Bytes& to, std::uint32_t word) {
  const auto bytes = std::as_bytes(std::span(&word, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

inline Bytes gzip(const Bytes& data) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, data.size()) + 64);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// As scripts/xz_wrap.sh of the kernel does: BCJ x86 filter, LZMA2, CRC32.
inline Bytes xz(const Bytes& data) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 6);
  const lzma_filter filters[] = {
      {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  Bytes out(lzma_stream_buffer_bound(data.size()));
  std::size_t position = 0;
  if (lzma_stream_buffer_encode(const_cast<lzma_filter*>(filters), LZMA_CHECK_CRC32, nullptr,
                                reinterpret_cast<const std::uint8_t*>(data.data()), data.size(),
                                reinterpret_cast<std::uint8_t*>(out.data()), &position,
                                out.size()) != LZMA_OK) {
    throw std::runtime_error("XZ encoder");
  }
  out.resize(position);
  append_word(out, static_cast<std::uint32_t>(data.size()));
  return out;
}

inline Bytes lzma(const Bytes& data) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 6);
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_alone_encoder(&stream, &options) != LZMA_OK) throw std::runtime_error("LZMA encoder");
  Bytes out(data.size() * 2 + 1024);
  stream.next_in = reinterpret_cast<const std::uint8_t*>(data.data());
  stream.avail_in = data.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  if (lzma_code(&stream, LZMA_FINISH) != LZMA_STREAM_END) throw std::runtime_error("LZMA encoder");
  out.resize(stream.total_out);
  lzma_end(&stream);
  append_word(out, static_cast<std::uint32_t>(data.size()));
  return out;
}

/// Legacy frame in blocks of `block` bytes (the lz4 program takes 8 MiB).
inline Bytes lz4(const Bytes& data, std::size_t block = std::size_t{8} << 20) {
  Bytes out;
  append_word(out, 0x184C'2102);
  for (std::size_t start = 0; start < data.size(); start += block) {
    const auto size = static_cast<int>(std::min(block, data.size() - start));
    std::vector<char> compressed(static_cast<std::size_t>(LZ4_compressBound(size)));
    const int bytes = LZ4_compress_default(reinterpret_cast<const char*>(data.data()) + start, compressed.data(),
                                           size, static_cast<int>(compressed.size()));
    append_word(out, static_cast<std::uint32_t>(bytes));
    const auto view = std::as_bytes(std::span(compressed)).first(static_cast<std::size_t>(bytes));
    out.insert(out.end(), view.begin(), view.end());
  }
  append_word(out, static_cast<std::uint32_t>(data.size()));
  return out;
}

inline Bytes zstd(const Bytes& data) {
  Bytes out(ZSTD_compressBound(data.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3));
  append_word(out, static_cast<std::uint32_t>(data.size()));
  return out;
}

struct BzImageBuilder {
  std::uint8_t setup_sectors = 3;
  std::uint16_t version = 0x020F;
  std::uint32_t payload_offset = 0x100;
  Bytes payload;
  std::uint32_t payload_length_change = 0;  // added to the length that the header names

  [[nodiscard]] Bytes build() const {
    const std::size_t code = (std::size_t{setup_sectors == 0 ? 4U : setup_sectors} + 1) * 512;
    Bytes file(code + payload_offset);
    const auto put = [&](std::size_t offset, auto value) { std::memcpy(file.data() + offset, &value, sizeof value); };
    put(0x1F1, setup_sectors);
    put(0x1FE, std::uint16_t{0xAA55});
    put(0x202, std::uint32_t{0x5372'6448});
    put(0x206, version);
    put(0x248, payload_offset);
    put(0x24C, static_cast<std::uint32_t>(payload.size()) + payload_length_change);
    file.insert(file.end(), payload.begin(), payload.end());
    file.resize(file.size() + 16);  // what follows the payload: here nothing, in kernels the decompressor
    return file;
  }
};

}  // namespace patchbay::vmm
