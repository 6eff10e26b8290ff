// A disk image that lasts as long as a test.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace patchbay::devices::block::testing {

class TemporaryImage {
 public:
  explicit TemporaryImage(std::size_t bytes, char fill = 'b') {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) throw std::runtime_error("no temporary file");
    const std::string content(bytes, fill);
    if (::write(fd, content.data(), content.size()) != static_cast<ssize_t>(bytes))
      throw std::runtime_error("no room for a temporary file");
    ::close(fd);
  }
  ~TemporaryImage() { ::unlink(path_.c_str()); }
  TemporaryImage(const TemporaryImage&) = delete;
  TemporaryImage& operator=(const TemporaryImage&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string content() const {
    std::ifstream stream(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

 private:
  std::string path_ = "/tmp/patchbay-image.XXXXXX";
};

}  // namespace patchbay::devices::block::testing
