// What a vm node boots, from what the lab file says: a kernel with initrd, or a disk image with the kernel
// for it.
#pragma once

#include <optional>
#include <string>

#include "tools/lab/load.h"
#include "tools/lab/model.h"
#include "tools/lab/node_settings.h"

namespace patchbay::tools {

/// Looks at the files that the settings name, relative to `lab_file`, and reports what cannot work. The texts
/// are expanded already. Nothing if there was an error.
[[nodiscard]] std::optional<VmBoot> resolve_vm_boot(const Located<std::string>& node,
                                                    const NodeSettings& settings,
                                                    const std::filesystem::path& lab_file,
                                                    const Surroundings& surroundings,
                                                    Diagnostics& diagnostics);

}  // namespace patchbay::tools
