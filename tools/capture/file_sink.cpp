#include "tools/capture/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace patchbay::tools {
namespace {

using vswitch::capture::BlockType;

constexpr std::size_t kReadBytes = 256 * 1024;

[[noreturn]] void fail(const std::string& doing, const std::string& path, const char* way_out) {
  throw std::system_error(errno, std::generic_category(),
                          "cannot " + doing + " " + path + " (" + way_out + ")");
}

}  // namespace

FileSink::FileSink(FileSinkOptions options) : options_(std::move(options)) {
  if (options_.path != "-") {
    open_next();
    return;
  }
  if (options_.file_bytes != 0) {
    throw std::runtime_error("standard output cannot be a ring of files: name a file with -w FILE");
  }
  if (isatty(STDOUT_FILENO) == 1) {
    throw std::runtime_error(
        "a capture is binary, and standard output is a terminal: name a file with -w FILE, or pipe it: "
        "patchbay capture ... -w - | wireshark -k -i -");
  }
  current_path_ = "-";
  fd_ = STDOUT_FILENO;
}

bool FileSink::read_from(int fd) {
  const std::span<std::byte> room = stream_.prepare(kReadBytes);
  const ssize_t count = ::read(fd, room.data(), room.size());
  if (count < 0) {
    if (errno == EINTR || errno == EAGAIN) return true;
    if (errno == ECONNRESET) return false;
    fail("read", "the capture stream", "is the lab still up? See patchbay inspect");
  }
  stream_.commit(static_cast<std::size_t>(count));
  write_whole_blocks();
  return count != 0;
}

void FileSink::consume(std::span<const std::byte> bytes) {
  std::copy(bytes.begin(), bytes.end(), stream_.prepare(bytes.size()).begin());
  stream_.commit(bytes.size());
  write_whole_blocks();
}

void FileSink::finish() {
  discarded_ = stream_.partial_bytes();
  file_.reset();
  fd_ = -1;
}

void FileSink::write_whole_blocks() {
  std::span<const std::byte> run;  // whole blocks that go into the current file
  for (;;) {
    BlockStream::Block block;
    try {
      block = stream_.next();
    } catch (const StreamError&) {
      write(run);  // what came before the damage is good
      throw;
    }
    if (block.bytes.empty()) break;
    note(block);
    const bool starts_file = file_size_ + run.size() <= preamble_.size();
    if (options_.file_bytes != 0 && !starts_file &&
        file_size_ + run.size() + block.bytes.size() > options_.file_bytes) {
      write(run);
      run = {};
      open_next();
      write(preamble_);
    }
    run = run.empty() ? block.bytes : std::span(run.data(), run.size() + block.bytes.size());
  }
  write(run);
}

void FileSink::note(const BlockStream::Block& block) {
  switch (block.type) {
    case BlockType::section_header:
      preamble_.clear();
      interfaces_ = statistics_ = 0;
      preamble_.insert(preamble_.end(), block.bytes.begin(), block.bytes.end());
      break;
    case BlockType::interface_description:
      preamble_.insert(preamble_.end(), block.bytes.begin(), block.bytes.end());
      ++interfaces_;
      break;
    case BlockType::enhanced_packet:
      ++packets_;
      break;
    case BlockType::interface_statistics:
      ++statistics_;
      dropped_ += vswitch::capture::read_dropped(block.bytes);
      break;
  }
}

std::string FileSink::numbered_path() const {
  const std::filesystem::path path(options_.path);
  char number[24];
  std::snprintf(number, sizeof number, "_%05llu", static_cast<unsigned long long>(file_number_));
  return (path.parent_path() / (path.stem().string() + number + path.extension().string())).string();
}

void FileSink::open_next() {
  ++file_number_;
  current_path_ = options_.file_bytes == 0 ? options_.path : numbered_path();
  file_.reset(::open(current_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file_) fail("open", current_path_, "give another file with -w");
  fd_ = file_.get();
  file_size_ = 0;
  written_files_.push_back(current_path_);
  if (options_.file_bytes != 0 && options_.files != 0 && written_files_.size() > options_.files) {
    ::unlink(written_files_.front().c_str());  // one that somebody moved away is none of ours any more
    written_files_.pop_front();
  }
}

void FileSink::write(std::span<const std::byte> blocks) {
  std::size_t written = 0;
  while (written < blocks.size()) {
    const ssize_t count = ::write(fd_, blocks.data() + written, blocks.size() - written);
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    const int error = errno;
    // Back to the last whole block; a pipe cannot, and need not.
    if (file_ && written != 0) (void)!::ftruncate(fd_, static_cast<off_t>(file_size_));
    errno = error;
    fail("write", current_path_, "is there room left? Give another file with -w");
  }
  file_size_ += blocks.size();
}

}  // namespace patchbay::tools
