// A link's impairments as a lab file writes them: `netem: {a-to-z: {delay: 10ms, loss: 1%}}`.
#pragma once

#include "tools/lab/model.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

/// Reads both directions; A is the link's first endpoint.
void read_netem(const YamlNode& node, Reader& reader, Netem& a_to_z, Netem& z_to_a);

}  // namespace patchbay::tools
