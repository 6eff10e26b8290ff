#include "tests/integration/vswitch/network_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace patchbay::vswitch::test {

NetworkNamespace::NetworkNamespace() {
  int error = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      error = errno;
      return;
    }
    fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  if (error != 0)
    throw std::system_error(error, std::generic_category(), "new network namespace (run as root)");
  must("ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
}

NetworkNamespace::Result NetworkNamespace::run(const std::string& command) const {
  // The shell expands nothing of `command` before nsenter's own shell runs it.
  std::string quoted;
  for (const char c : command)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  const std::string line = "nsenter --net=/proc/" + std::to_string(::getpid()) + "/fd/" +
                           std::to_string(fd_.get()) + " sh -c '" + quoted + "' 2>&1";
  FILE* pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr) throw std::system_error(errno, std::generic_category(), "popen");
  Result result{-1, {}};
  std::array<char, 4096> chunk;
  for (std::size_t n; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;)
    result.output.append(chunk.data(), n);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

std::string NetworkNamespace::must(const std::string& command) const {
  Result result = run(command);
  if (result.status != 0) throw std::runtime_error(command + ": " + result.output);
  return std::move(result.output);
}

}  // namespace patchbay::vswitch::test
