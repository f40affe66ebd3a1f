# cmake --install: programs, library and headers, the CMake package `drl`, drl.pc, man page, completion, and the files
# the programs read (share/drl). An experiment NAME is installed as drl-NAME.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/drl")
install(TARGETS drl EXPORT drlTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY lib/include/drl DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT drlTargets NAMESPACE drl:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/drlConfig.cmake.in "${CMAKE_BINARY_DIR}/drlConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/drlConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/drlConfig.cmake" "${CMAKE_BINARY_DIR}/drlConfigVersion.cmake"
  DESTINATION "${package_dir}")
file(RELATIVE_PATH DRL_PC_UP "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/") # wherever it is installed
configure_file(cmake/drl.pc.in "${CMAKE_BINARY_DIR}/drl.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/drl.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(experiments compare downstream semi_supervised detail_control detail_factors sde_ablation)
install(TARGETS drl_tool DESTINATION "${CMAKE_INSTALL_BINDIR}")
foreach(name ${experiments})
  install(PROGRAMS "$<TARGET_FILE:${name}>" DESTINATION "${CMAKE_INSTALL_BINDIR}" RENAME drl-${name})
  set(dir experiments)
  if(name STREQUAL compare)
    set(dir baselines)
  endif()
  install(DIRECTORY ${dir}/${name} DESTINATION "${CMAKE_INSTALL_DATADIR}/drl/${dir}" FILES_MATCHING PATTERN "*.ini")
endforeach()
install(DIRECTORY plots DESTINATION "${CMAKE_INSTALL_DATADIR}/drl" FILES_MATCHING PATTERN "*.gp")

# drl(1), from what --help prints.
add_custom_command(OUTPUT drl.1
  COMMAND "${CMAKE_SOURCE_DIR}/cmake/man.sh" "$<TARGET_FILE:drl_tool>" "${PROJECT_VERSION}" drl.1
  DEPENDS drl_tool cmake/man.sh VERBATIM)
add_custom_target(man ALL DEPENDS drl.1)
install(FILES "${CMAKE_BINARY_DIR}/drl.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")

set(completions "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES cmake/completion.bash DESTINATION "${completions}" RENAME drl)
foreach(name ${experiments})
  install(FILES cmake/completion.bash DESTINATION "${completions}" RENAME drl-${name})
endforeach()
