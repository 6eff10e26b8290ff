# Operating systems as guests, natively where the host can and in the emulated host.
find_package(GTest REQUIRED)

set(PATCHBAY_GUEST_IMAGE "${PROJECT_SOURCE_DIR}/build/images/debian")
add_test(NAME guest_image COMMAND "${PROJECT_SOURCE_DIR}/tools/image/debian")
set_tests_properties(guest_image PROPERTIES LABELS integration TIMEOUT 300 FIXTURES_SETUP guest_image)

add_executable(linux_boot_test linux/boot_test.cpp linux/linux_guest.cpp)
target_compile_definitions(linux_boot_test PRIVATE PATCHBAY_GUEST_IMAGE="${PATCHBAY_GUEST_IMAGE}")
target_link_libraries(linux_boot_test PRIVATE patchbay_options patchbay_vmm GTest::gmock GTest::gtest_main)
patchbay_linux_test(linux_boot_test TIMEOUT 400 COMMAND $<TARGET_FILE:linux_boot_test> --gtest_filter=-*Pause*)
patchbay_linux_test(linux_pause TIMEOUT 200 COMMAND $<TARGET_FILE:linux_boot_test> --gtest_filter=*Pause*)
patchbay_linux_test(linux_log TIMEOUT 300 COMMAND "${CMAKE_CURRENT_LIST_DIR}/linux/log.sh" $<TARGET_FILE:boot_vm>
                    "${PATCHBAY_GUEST_IMAGE}")
foreach(nic e1000 virtio-net)
  patchbay_linux_test(linux_${nic} TIMEOUT 400 COMMAND "${PROJECT_SOURCE_DIR}/tests/guests/nic/check" $<TARGET_FILE:guest_lab>
                      "${PATCHBAY_GUEST_IMAGE}" ${nic})
  patchbay_linux_test(linux_power_${nic} TIMEOUT 500 COMMAND "${PROJECT_SOURCE_DIR}/tests/guests/power/check"
                      $<TARGET_FILE:guest_lab> "${PATCHBAY_GUEST_IMAGE}" ${nic})
  patchbay_linux_test(linux_dpdk_${nic} TIMEOUT 600 COMMAND "${PROJECT_SOURCE_DIR}/tests/guests/dpdk/check"
                      $<TARGET_FILE:guest_lab> "${PATCHBAY_GUEST_IMAGE}" ${nic} ${nic})
endforeach()
# And the split rings, against the other model: what the cards then do not have in common, the switch does.
patchbay_linux_test(linux_dpdk_split TIMEOUT 600 COMMAND "${PROJECT_SOURCE_DIR}/tests/guests/dpdk/check"
                    $<TARGET_FILE:guest_lab> "${PATCHBAY_GUEST_IMAGE}" virtio-net e1000 split)

add_executable(linux_virtio_net_test linux/virtio_net_test.cpp linux/linux_guest.cpp vswitch/network_namespace.cpp
               ../guests/initrd.cpp)
target_compile_definitions(linux_virtio_net_test PRIVATE PATCHBAY_GUEST_IMAGE="${PATCHBAY_GUEST_IMAGE}")
target_link_libraries(linux_virtio_net_test PRIVATE patchbay_options patchbay_vmm patchbay_net patchbay_vswitch_core
                      fmt::fmt GTest::gmock GTest::gtest_main)
patchbay_linux_test(linux_virtio_net_test TIMEOUT 200 COMMAND $<TARGET_FILE:linux_virtio_net_test>)
