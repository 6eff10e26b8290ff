#include "vmm/kernel/decompress.h"

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

namespace patchbay::vmm {
namespace {

using Input = std::span<const std::byte>;
using Output = std::span<std::byte>;

constexpr std::size_t kSizeBytes = 4;
constexpr std::uint64_t kMaxDecoderMemory = std::uint64_t{256} << 20;  // the largest dictionaries need 64 MiB

/// Each decoder fills `output` exactly and returns nullptr, or says what is wrong.
using Decoder = const char* (*)(Input input, Output output);

const char* decode_gzip(Input input, Output output) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return "no memory";
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool complete = result == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  return complete ? nullptr : "the data is damaged";
}

const char* run_lzma(lzma_stream& stream, Input input, Output output) {
  stream.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
  stream.avail_in = input.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(output.data());
  stream.avail_out = output.size();
  lzma_ret result = LZMA_OK;
  while (result == LZMA_OK && (stream.avail_in != 0 || stream.avail_out != 0)) {
    const auto before = stream.avail_in + stream.avail_out;
    result = lzma_code(&stream, LZMA_FINISH);
    if (result == LZMA_OK && before == stream.avail_in + stream.avail_out) break;
  }
  const bool complete =
      (result == LZMA_STREAM_END || result == LZMA_OK) && stream.avail_out == 0 && stream.avail_in <= kSizeBytes;
  lzma_end(&stream);
  if (result == LZMA_MEMLIMIT_ERROR) return "its dictionary is larger than any kernel's";
  return complete ? nullptr : "the data is damaged";
}

const char* decode_xz(Input input, Output output) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMaxDecoderMemory, 0) != LZMA_OK) return "no memory";
  return run_lzma(stream, input.first(input.size() - kSizeBytes), output);
}

const char* decode_lzma(Input input, Output output) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_alone_decoder(&stream, kMaxDecoderMemory) != LZMA_OK) return "no memory";
  return run_lzma(stream, input.first(input.size() - kSizeBytes), output);
}

/// A legacy frame: magic, then blocks of up to 8 MiB, each behind its compressed size.
const char* decode_lz4(Input input, Output output) {
  input = input.subspan(4).first(input.size() - 4 - kSizeBytes);
  while (!output.empty()) {
    std::uint32_t bytes;
    if (input.size() < sizeof bytes) return "the data ends too early";
    std::memcpy(&bytes, input.data(), sizeof bytes);
    input = input.subspan(sizeof bytes);
    if (bytes == 0 || bytes > input.size()) return "the data is damaged";
    constexpr std::size_t kBlock = std::size_t{8} << 20;
    const int written =
        LZ4_decompress_safe(reinterpret_cast<const char*>(input.data()), reinterpret_cast<char*>(output.data()),
                            static_cast<int>(bytes), static_cast<int>(std::min(output.size(), kBlock)));
    if (written <= 0) return "the data is damaged";
    input = input.subspan(bytes);
    output = output.subspan(static_cast<std::size_t>(written));
  }
  return nullptr;
}

const char* decode_zstd(Input input, Output output) {
  const std::size_t written =
      ZSTD_decompress(output.data(), output.size(), input.data(), input.size() - kSizeBytes);
  if (ZSTD_isError(written)) return ZSTD_getErrorName(written);
  return written == output.size() ? nullptr : "the data ends too early";
}

struct Compression {
  const char* name;
  std::array<unsigned char, 6> magic;
  std::size_t magic_bytes;
  Decoder decoder;  // nullptr: known by name only
};
constexpr Compression kCompressions[] = {
    {"gzip", {0x1F, 0x8B}, 2, decode_gzip},
    {"XZ", {0xFD, '7', 'z', 'X', 'Z', 0}, 6, decode_xz},
    {"LZMA", {0x5D, 0, 0}, 3, decode_lzma},
    {"LZ4", {0x02, 0x21, 0x4C, 0x18}, 4, decode_lz4},
    {"Zstandard", {0x28, 0xB5, 0x2F, 0xFD}, 4, decode_zstd},
    {"bzip2", {'B', 'Z', 'h'}, 3, nullptr},
    {"LZO", {0x89, 'L', 'Z', 'O'}, 4, nullptr},
};

const Compression* find_compression(Input data) noexcept {
  for (const Compression& compression : kCompressions) {
    if (data.size() >= compression.magic_bytes &&
        std::memcmp(data.data(), compression.magic.data(), compression.magic_bytes) == 0) {
      return &compression;
    }
  }
  return nullptr;
}

}  // namespace

const char* compression_of(std::span<const std::byte> data) noexcept {
  const Compression* found = find_compression(data);
  return found == nullptr ? nullptr : found->name;
}

FileContents decompress_payload(std::span<const std::byte> payload, const std::string& name) {
  const Compression* compression = find_compression(payload);
  if (compression == nullptr || payload.size() < 2 * sizeof(std::uint64_t)) {
    throw ImageError(name + ": its payload has no compression that is known here (gzip, XZ, LZMA, LZ4, Zstandard)");
  }
  const std::string what = name + ": its payload (" + compression->name + ") cannot be unpacked: ";
  if (compression->decoder == nullptr)
    throw ImageError(what + "give the kernel's vmlinux instead, or one with another compression");
  std::uint32_t bytes;
  std::memcpy(&bytes, payload.last(kSizeBytes).data(), sizeof bytes);
  if (bytes == 0 || bytes > kMaxKernelBytes || payload.size() > std::numeric_limits<int>::max()) {
    throw ImageError(what + "it claims to be " + std::to_string(bytes) + " bytes long");
  }
  return FileContents::filled(bytes, [&](Output output) {
    if (const char* problem = compression->decoder(payload, output)) throw ImageError(what + problem);
  });
}

}  // namespace patchbay::vmm
