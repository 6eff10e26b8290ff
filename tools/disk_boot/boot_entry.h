// What a boot loader on a disk would start, from the texts that configure it: GRUB's grub.cfg as
// grub-mkconfig writes it (Debian, Ubuntu, SUSE), and the entries of the Boot Loader Specification, type 1
// (Fedora, RHEL, systemd-boot).
//
// The texts are not executed: what depends on variables, conditions or a menu is not understood, and a word
// of a kernel's command line that holds a variable is left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace patchbay::tools::disk_boot {

struct BootEntry {
  std::string kernel;                // paths from the root of the file system that holds the text
  std::vector<std::string> initrds;  // in the order in which the kernel is given them
  std::string options;               // the kernel's command line; single spaces
};

/// The first entry of a grub.cfg, its default unless somebody chose another. Any text is taken.
[[nodiscard]] std::optional<BootEntry> first_grub_entry(std::string_view grub_cfg);

/// An entry file of the Boot Loader Specification. Nothing without a kernel for Linux.
[[nodiscard]] std::optional<BootEntry> loader_entry(std::string_view text);

/// True if the entry file `a` is preferred to `b` by the numbers in their names: 6.10 before 6.9, and rescue
/// entries last.
[[nodiscard]] bool is_newer_entry(const std::string& a, const std::string& b) noexcept;

}  // namespace patchbay::tools::disk_boot
