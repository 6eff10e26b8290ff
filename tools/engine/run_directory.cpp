#include "tools/engine/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace patchbay::tools {

namespace fs = std::filesystem;

namespace {
const fs::path kRoot = "/run/patchbay";
const fs::path kNamespaces = "/run/netns";
}  // namespace

RunDirectory::RunDirectory(const std::string& lab) : path_(kRoot / lab) {}

void RunDirectory::claim() {
  fs::create_directories(path_);
  ::chmod(path_.c_str(), 0700);
  lock_.reset(::open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_)
    throw std::system_error(errno, std::generic_category(), "cannot create " + (path_ / "lock").string());
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    throw std::runtime_error(
        fmt::format("lab '{}' is up already; take it down first: patchbay destroy --name {}",
                    path_.filename().string(), path_.filename().string()));
  }
}

void RunDirectory::record_engine() const {
  std::ofstream(path_ / "pid") << ::getpid() << '\n';
}

std::optional<pid_t> RunDirectory::engine() const {
  const vswitch::FileDescriptor probe(::open((path_ / "lock").c_str(), O_RDWR | O_CLOEXEC));
  // Whoever gets the lock has no engine in front of him.
  if (!probe || ::flock(probe.get(), LOCK_EX | LOCK_NB) == 0) return std::nullopt;
  pid_t pid = 0;
  std::ifstream(path_ / "pid") >> pid;
  if (pid <= 0) return std::nullopt;
  return pid;
}

void RunDirectory::link_namespace(const std::string& full_name, pid_t init) const {
  fs::create_directories(kNamespaces);
  const fs::path link = kNamespaces / full_name;
  fs::remove(link);
  fs::create_symlink(fmt::format("/proc/{}/ns/net", init), link);
  std::ofstream(path_ / "namespaces", std::ios::app) << full_name << '\n';
}

void RunDirectory::expect_socket(const fs::path& path) const {
  if (path.string().starts_with(path_.string() + "/")) {
    fs::create_directories(path.parent_path());
  } else {
    std::ofstream(path_ / "foreign-sockets", std::ios::app) << path.string() << '\n';
  }
}

void RunDirectory::remove() const {
  std::ifstream sockets(path_ / "foreign-sockets");
  for (std::string socket; std::getline(sockets, socket);) {
    std::error_code ignored;
    if (fs::is_socket(socket, ignored)) fs::remove(socket, ignored);
  }
  std::ifstream names(path_ / "namespaces");
  std::string name;
  while (std::getline(names, name)) {
    std::error_code ignored;
    if (fs::is_symlink(kNamespaces / name, ignored)) fs::remove(kNamespaces / name, ignored);
  }
  fs::remove_all(path_);
  std::error_code not_empty;
  fs::remove(kRoot, not_empty);
}

std::vector<std::string> RunDirectory::labs() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(kRoot, none)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  return names;
}

}  // namespace patchbay::tools
