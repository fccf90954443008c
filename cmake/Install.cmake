# SPDX-License-Identifier: GPL-2.0-or-later
include(GNUInstallDirs)

install(TARGETS linkbal RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
foreach(section 5 8)
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
