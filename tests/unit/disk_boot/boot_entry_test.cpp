// What the texts of boot loaders start.
#include "tools/disk_boot/boot_entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace patchbay::tools::disk_boot {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The form of grub-mkconfig 2.06: functions and conditions before the entries, tabs, quoted identifiers.
constexpr const char* kDebian = R"(set default="0"
function gfxmode {
	set gfxpayload="${1}"
}
if [ "${grub_platform}" = xen ]; then insmod xzio; fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-5c3' {
	load_video
	search --no-floppy --fs-uuid --set=root 5c3
	echo	'Loading Linux 6.1.0-18-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-18-amd64 root=PARTUUID=1-2 ro  console=tty0 console=ttyS0,115200 "a b"
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd.img-6.1.0-18-amd64
}
submenu 'Advanced options for Debian GNU/Linux' {
	menuentry 'recovery mode' {
		linux	/boot/vmlinuz-6.1.0-13-amd64 root=PARTUUID=1-2 ro single
		initrd	/boot/initrd.img-6.1.0-13-amd64
	}
}
)";

TEST(GrubConfig, TheFirstEntryIsTaken) {
  const auto entry = first_grub_entry(kDebian);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kernel, "/boot/vmlinuz-6.1.0-18-amd64");
  EXPECT_THAT(entry->initrds, ElementsAre("/boot/initrd.img-6.1.0-18-amd64"));
  EXPECT_EQ(entry->options, "root=PARTUUID=1-2 ro console=tty0 console=ttyS0,115200 a b");
}

TEST(GrubConfig, DevicesInFrontOfPathsAndVariablesAreLeftOut) {
  const auto entry = first_grub_entry(
      "menuentry x {\n linux ($root)/vmlinuz root=UUID=7 ${kernelopts} $tuned_params quiet # why\n"
      " initrd (hd0,gpt2)/ucode.img ($root)/initrd.img $tuned_initrd\n}\n");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kernel, "/vmlinuz");
  EXPECT_THAT(entry->initrds, ElementsAre("/ucode.img", "/initrd.img"));
  EXPECT_EQ(entry->options, "root=UUID=7 quiet");
}

TEST(GrubConfig, AnEntryWithoutInitrdDoesNotTakeTheNextOnes) {
  const auto entry = first_grub_entry("menuentry a {\nlinux /a\n}\nmenuentry b {\nlinux /b\ninitrd /i\n}\n");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kernel, "/a");
  EXPECT_THAT(entry->initrds, IsEmpty());
}

TEST(GrubConfig, ATextWithoutKernelsHasNoEntry) {
  EXPECT_FALSE(first_grub_entry(""));
  EXPECT_FALSE(first_grub_entry("blscfg\nlinux\n'unfinished \\"));
  EXPECT_FALSE(first_grub_entry("# linux /vmlinuz\n"));
}

TEST(LoaderEntry, HasKernelInitrdsAndOptions) {
  const auto entry = loader_entry(
      "title Fedora Linux (6.8.5)\nversion 6.8.5\n# linux /old\nlinux /vmlinuz-6.8.5\n"
      "initrd /ucode.img\ninitrd /initramfs-6.8.5.img $tuned_initrd\noptions root=UUID=1 ro "
      "rootflags=subvol=root\n"
      "options  quiet $tuned_params\ngrub_arg --unrestricted\n");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kernel, "/vmlinuz-6.8.5");
  EXPECT_THAT(entry->initrds, ElementsAre("/ucode.img", "/initramfs-6.8.5.img"));
  EXPECT_EQ(entry->options, "root=UUID=1 ro rootflags=subvol=root quiet");
  EXPECT_FALSE(loader_entry("title Windows\nefi /EFI/Microsoft/bootmgfw.efi\n"));
}

TEST(LoaderEntry, TheNewestComesFirstAndRescueLast) {
  std::vector<std::string> names{"id-6.9.1.conf", "id-0-rescue.conf", "id-6.10.0.conf", "id-6.8.9.conf"};
  std::sort(names.begin(), names.end(), is_newer_entry);
  EXPECT_THAT(names, ElementsAre("id-6.10.0.conf", "id-6.9.1.conf", "id-6.8.9.conf", "id-0-rescue.conf"));
}

}  // namespace
}  // namespace patchbay::tools::disk_boot
