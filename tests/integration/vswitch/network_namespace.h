// A network namespace without a name: it and its interfaces are gone when the object, or the test that dies,
// lets go of it.
#pragma once

#include <string>

#include "vswitch/file_descriptor.h"

namespace patchbay::vswitch::test {

class NetworkNamespace {
 public:
  /// Creates the namespace, loopback up, without IPv6 chatter. Throws std::system_error; EPERM without root.
  NetworkNamespace();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  struct Result {
    int status;  // of the shell
    std::string output;
  };
  /// Runs a shell command in the namespace and waits for it.
  Result run(const std::string& command) const;
  /// run(), but a failure is an exception with the command's output.
  std::string must(const std::string& command) const;

 private:
  FileDescriptor fd_;
};

}  // namespace patchbay::vswitch::test
