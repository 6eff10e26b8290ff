// Writes a capture's pcapng stream, as it comes from the engine, to a file, a ring of files or standard
// output.
//
//   FileSink sink({.path = "trace.pcapng"});
//   while (sink.read_from(socket)) {}     // until the engine ends the stream, or dies
//   sink.finish();                        // sink.complete() tells which
//
// Every write(2) is made of whole blocks, so a file is readable at any moment, also after the engine or this
// program was killed; what the engine could not finish is left out. (The kernel may cut a write short when
// this very process is killed in it; Wireshark reads such a file up to there.)
//
// One thread. Errors are std::system_error (writing; EPIPE when the reader of a pipe went away, provided
// SIGPIPE is ignored) and StreamError; both leave the files whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "tools/capture/block_stream.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::tools {

struct FileSinkOptions {
  std::string path{};            // "-": standard output
  std::uint64_t file_bytes = 0;  // go on in another file rather than exceed this; 0: a single file
  std::size_t files = 0;         // files kept, the oldest is deleted for another; 0: all
};

class FileSink {
 public:
  /// Opens the (first) file. With file_bytes, "dir/x.pcapng" becomes dir/x_00001.pcapng, dir/x_00002.pcapng
  /// ...; each is complete in itself: it starts with the section and its interfaces. Throws
  /// std::system_error, or std::runtime_error if the path cannot serve: standard output is a terminal, or is
  /// to be a ring of files.
  explicit FileSink(FileSinkOptions options);

  /// Reads once from `fd` and writes what is whole. Returns false at the end of the stream. A peer that
  /// resets the connection ends it too; nothing to read on a non-blocking descriptor does not.
  [[nodiscard]] bool read_from(int fd);
  /// The same for bytes that were read elsewhere.
  void consume(std::span<const std::byte> bytes);
  /// Ends the capture: drops a block that lacks its end, and closes the file.
  void finish();

  /// True once the statistics of every interface have come: the engine ended the capture in good order.
  [[nodiscard]] bool complete() const noexcept { return interfaces_ != 0 && statistics_ == interfaces_; }
  /// Frames written.
  [[nodiscard]] std::uint64_t packets() const noexcept { return packets_; }
  /// Frames that the engine had no room for, as its statistics say; 0 until they have come.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
  /// Bytes of the block that finish() dropped.
  [[nodiscard]] std::size_t discarded_bytes() const noexcept { return discarded_; }
  /// The file written to now, or "-".
  [[nodiscard]] const std::string& path() const noexcept { return current_path_; }

 private:
  void write_whole_blocks();
  void note(const BlockStream::Block& block);
  void open_next();
  void write(std::span<const std::byte> blocks);
  [[nodiscard]] std::string numbered_path() const;

  FileSinkOptions options_;
  BlockStream stream_;
  std::vector<std::byte> preamble_;  // section and interfaces, for the next file of a ring
  std::string current_path_;
  vswitch::FileDescriptor file_;
  int fd_ = -1;  // file_, or standard output
  std::uint64_t file_size_ = 0;
  std::uint64_t file_number_ = 0;
  std::deque<std::string> written_files_;

  std::size_t interfaces_ = 0;
  std::size_t statistics_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t dropped_ = 0;
  std::size_t discarded_ = 0;
};

}  // namespace patchbay::tools
