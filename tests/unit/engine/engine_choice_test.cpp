#include "tools/engine/engine_choice.h"

#include <gtest/gtest.h>

namespace patchbay::tools {
namespace {

using vmm::HostKind;

TEST(EngineChoice, TheHostDecidesUnlessTheLabFileDoes) {
  EXPECT_EQ(choose_engine(VmEngine::automatic, HostKind::full).engine, VmEngine::kvm);
  EXPECT_EQ(choose_engine(VmEngine::automatic, HostKind::user_mode_only).engine, VmEngine::qemu);
  EXPECT_EQ(choose_engine(VmEngine::automatic, HostKind::none).engine, VmEngine::qemu);
  for (const HostKind host : {HostKind::none, HostKind::user_mode_only, HostKind::full}) {
    EXPECT_EQ(choose_engine(VmEngine::kvm, host).engine, VmEngine::kvm);
    EXPECT_EQ(choose_engine(VmEngine::qemu, host).engine, VmEngine::qemu);
  }
}

TEST(EngineChoice, SaysWhy) {
  EXPECT_EQ(choose_engine(VmEngine::automatic, HostKind::user_mode_only).reason,
            "this host's KVM emulates supervisor mode");
  EXPECT_EQ(choose_engine(VmEngine::automatic, HostKind::none).reason, "this host has no usable KVM");
  EXPECT_EQ(choose_engine(VmEngine::qemu, HostKind::full).reason, "the lab file says so");
}

}  // namespace
}  // namespace patchbay::tools
