# Virtual machines on real KVM: one tiny assembly guest per behaviour, and the test that boots them.
find_package(GTest REQUIRED)
include(GoogleTest)

set(vmm_tests "${CMAKE_CURRENT_LIST_DIR}/vmm")
set(vmm_guests "${CMAKE_CURRENT_BINARY_DIR}/vmm_guests")
file(MAKE_DIRECTORY "${vmm_guests}")

set(vmm_guest_images "")
file(GLOB vmm_guest_sources CONFIGURE_DEPENDS "${vmm_tests}/guests/*.S")
foreach(source ${vmm_guest_sources})
  get_filename_component(guest "${source}" NAME_WE)
  add_custom_command(
    OUTPUT "${vmm_guests}/${guest}"
    COMMAND as --64 -I "${vmm_tests}/guests" -o "${vmm_guests}/${guest}.o" "${source}"
    COMMAND ld -m elf_x86_64 -nostdlib -static --no-warn-rwx-segments -z noexecstack -T "${vmm_tests}/guests/guest.ld"
            -o "${vmm_guests}/${guest}" "${vmm_guests}/${guest}.o"
    DEPENDS "${source}" "${vmm_tests}/guests/guest.inc" "${vmm_tests}/guests/guest.ld"
    COMMENT "Guest ${guest}" VERBATIM)
  list(APPEND vmm_guest_images "${vmm_guests}/${guest}")
endforeach()
add_custom_target(vmm_guest_images DEPENDS ${vmm_guest_images})

add_executable(vmm_integration_test
  "${vmm_tests}/boot_test.cpp"
  "${vmm_tests}/control_test.cpp"
  "${vmm_tests}/machine.cpp"
  "${vmm_tests}/pci_test.cpp"
  "${vmm_tests}/wait_test.cpp")
add_dependencies(vmm_integration_test vmm_guest_images)
target_compile_definitions(vmm_integration_test PRIVATE VMM_GUESTS="${vmm_guests}")
target_link_libraries(vmm_integration_test PRIVATE patchbay_options patchbay_vmm GTest::gmock GTest::gtest_main)
gtest_discover_tests(vmm_integration_test TEST_PREFIX "vmm." DISCOVERY_TIMEOUT 60
                     PROPERTIES LABELS integration TIMEOUT 120)
