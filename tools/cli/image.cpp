#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {
namespace {

/// The scripts that make guests, beside the sources that this program was built from.
const std::filesystem::path kScripts = PATCHBAY_IMAGE_SCRIPTS;

/// Becomes the script; its output and exit status are those of this program.
[[noreturn]] void run_script(const std::string& name, const std::string& output) {
  const std::filesystem::path script = kScripts / name;
  if (!std::filesystem::exists(script)) {
    throw InputError(script.string() + " is missing: it makes this image, and is part of Patchbay's source tree");
  }
  std::string path = script.string();
  std::string option = "-o";
  std::string folder = output.empty() ? output : std::filesystem::absolute(output).string();
  char* const arguments[] = {path.data(), folder.empty() ? nullptr : option.data(),
                             folder.empty() ? nullptr : folder.data(), nullptr};
  std::fflush(nullptr);
  ::execv(arguments[0], arguments);
  throw std::runtime_error("cannot run " + path + ": " + std::strerror(errno));
}

}  // namespace

void add_image(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("image", "make images that nodes boot from");
  verb->require_subcommand(1);
  auto* build = verb->add_subcommand("build", "make an image out of Debian packages and print its folder");
  build->footer(
      "debian: the distribution's generic kernel (vmlinuz) and an initrd with busybox, iperf3, ethtool, tcpdump and "
      "the\nmodules for virtio, e1000 and VLANs. Nothing is installed; what was made before is used again.\n"
      "Example: patchbay image build debian -o /tmp/debian");
  auto* name = new std::string;
  auto* output = new std::string;
  build->add_option("image", *name, "which one: debian")->required()->check(CLI::IsMember({"debian"}));
  build->add_option("-o,--output", *output, "folder to put it in (default: build/images/NAME of the source tree)");
  build->callback([name, output, &status] {
    status = 1;
    run_script(*name, *output);
  });
}

}  // namespace patchbay::tools::cli
