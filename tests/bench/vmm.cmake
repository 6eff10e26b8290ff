# Operating systems as guests; tests/bench/boot compares with QEMU.
find_package(CLI11 REQUIRED)
add_executable(boot_vm boot_vm.cpp)
target_link_libraries(boot_vm PRIVATE patchbay_options patchbay_vmm CLI11::CLI11)
