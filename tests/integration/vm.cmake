# Operating systems as nodes of a lab: the whole of `patchbay` with them, under the engine that the host has.
patchbay_linux_test(lab_mixed TIMEOUT 400 COMMAND "${CMAKE_CURRENT_LIST_DIR}/vm/mixed_lab.sh" "$<TARGET_FILE:patchbay>"
                    "${PROJECT_SOURCE_DIR}/examples" "${PATCHBAY_GUEST_IMAGE}")
patchbay_linux_test(lab_disk_image TIMEOUT 200 COMMAND "${CMAKE_CURRENT_LIST_DIR}/vm/disk_image.sh" "$<TARGET_FILE:patchbay>"
                    "${PATCHBAY_GUEST_IMAGE}")

# The user's own QEMU, which needs nothing of the host but time.
add_test(NAME lab_external_qemu COMMAND "${CMAKE_CURRENT_LIST_DIR}/vm/external_qemu.sh" "$<TARGET_FILE:patchbay>"
         "${PROJECT_SOURCE_DIR}/examples" "${PATCHBAY_GUEST_IMAGE}")
set_tests_properties(lab_external_qemu PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77
                     FIXTURES_REQUIRED guest_image)
