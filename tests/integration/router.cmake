# The router appliance as a guest: its ring code against the VMM's and its policies, without KVM, and whole virtual machines on real KVM.
find_package(GTest REQUIRED)

set(router_tests "${CMAKE_CURRENT_LIST_DIR}/router")
set(router_guest "${PROJECT_SOURCE_DIR}/appliances/router/guest")

add_executable(router_guest_test
  "${router_tests}/guest_policy_test.cpp"
  "${router_tests}/guest_ring_test.cpp"
  "${router_guest}/packed_ring.cpp")
target_link_libraries(router_guest_test PRIVATE patchbay_options patchbay_virtio GTest::gmock GTest::gtest_main)
add_test(NAME router_guest_test COMMAND router_guest_test)
set_tests_properties(router_guest_test PROPERTIES LABELS integration TIMEOUT 60)

if(TARGET router_guest)
  add_executable(router_vm_test
    "${router_tests}/frames.cpp"
    "${router_tests}/host_port.cpp"
    "${router_tests}/router_vm.cpp"
    "${router_tests}/router_vm_test.cpp")
  target_compile_definitions(router_vm_test PRIVATE PATCHBAY_ROUTER_ELF="$<TARGET_FILE:router_guest>")
  target_link_libraries(router_vm_test PRIVATE patchbay_options patchbay_vmm patchbay_net patchbay_vswitch_core
                        GTest::gmock GTest::gtest_main)
  add_dependencies(router_vm_test router_guest)
  add_test(NAME router_vm_test COMMAND router_vm_test)
  set_tests_properties(router_vm_test PROPERTIES LABELS integration TIMEOUT 120 SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
  # But for the time that a start takes.
  patchbay_emulated_test(router_vm_test WITHOUT_KVM TIMEOUT 300
                         COMMAND $<TARGET_FILE:router_vm_test> --gtest_filter=-*BootsToForwardingWithinMilliseconds)
endif()
