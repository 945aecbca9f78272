# paidonce_component(<name>
#   [TARGET <target>]          exported as paidonce::<target>; the component's name unless given
#   [COMPONENTS <name>...]     components of ours that it needs
#   [LINK <target>...]         targets of others that it needs, found before or not at all
#   HEADERS <file>...)         its headers, relative to include/
#
# Declares one part of the library: an INTERFACE target with its own header set, export set and targets file,
# and a pkg-config file. Headers are listed, never globbed; tests/package checks that each is listed once.
# What a part links is written down by name: whether it was found here decides nothing about the installation.
function(paidonce_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TARGET" "COMPONENTS;LINK;HEADERS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "paidonce_component(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TARGET)
    set(arg_TARGET ${name})
  endif()

  set(target paidonce_${name})
  add_library(${target} INTERFACE)
  add_library(paidonce::${arg_TARGET} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${arg_TARGET})
  target_compile_features(${target} INTERFACE cxx_std_20)

  list(TRANSFORM arg_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/")
  target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${arg_HEADERS})

  foreach(component IN LISTS arg_COMPONENTS)
    target_link_libraries(${target} INTERFACE paidonce_${component})
  endforeach()
  target_link_libraries(${target} INTERFACE ${arg_LINK})

  # A header can be compiled alone only where what it includes is there.
  set(verifiable ON)
  foreach(dependency IN LISTS arg_LINK)
    if(NOT TARGET ${dependency})
      set(verifiable OFF)
    endif()
  endforeach()
  if(NOT PAIDONCE_TESTS OR NOT verifiable)
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS OFF)
  else()
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()

  set_property(GLOBAL APPEND PROPERTY PAIDONCE_COMPONENTS ${name})
  # All that it needs, those first that need least.
  set(needs "")
  foreach(component IN LISTS arg_COMPONENTS)
    get_property(below GLOBAL PROPERTY PAIDONCE_NEEDS_${component})
    list(APPEND needs ${below} ${component})
  endforeach()
  list(REMOVE_DUPLICATES needs)
  set_property(GLOBAL PROPERTY PAIDONCE_NEEDS_${name} ${needs})
endfunction()

# paidonce_install_components(): headers, targets files, the package's configuration and pkg-config files.
function(paidonce_install_components)
  include(CMakePackageConfigHelpers)
  include(GNUInstallDirs)
  set(cmake_dir "${CMAKE_INSTALL_DATADIR}/cmake/paidonce")
  set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
  get_property(components GLOBAL PROPERTY PAIDONCE_COMPONENTS)

  foreach(component IN LISTS components)
    install(TARGETS paidonce_${component} EXPORT paidonce-${component} FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT paidonce-${component} NAMESPACE paidonce:: FILE paidonce-${component}-targets.cmake DESTINATION "${cmake_dir}")
  endforeach()

  set(PAIDONCE_KNOWN ${components})
  set(PAIDONCE_NEEDS "")
  foreach(component IN LISTS components)
    get_property(needs GLOBAL PROPERTY PAIDONCE_NEEDS_${component})
    list(JOIN needs " " needs)
    string(APPEND PAIDONCE_NEEDS "set(_paidonce_needs_${component} ${needs})\n")
  endforeach()
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/paidonce-config.cmake.in"
    "${PROJECT_BINARY_DIR}/package/paidonce-config.cmake" INSTALL_DESTINATION "${cmake_dir}" NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/paidonce-config-version.cmake"
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
  install(FILES "${PROJECT_BINARY_DIR}/package/paidonce-config.cmake"
    "${PROJECT_BINARY_DIR}/package/paidonce-config-version.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/paidonce-dependencies.cmake" DESTINATION "${cmake_dir}")
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/paidonce")

  # From the directory of the .pc files to the prefix and on to the headers, so that the tree can be moved.
  file(RELATIVE_PATH PREFIX_FROM_PC "/prefix/${pkgconfig_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" PREFIX_FROM_PC "${PREFIX_FROM_PC}")
  foreach(component IN LISTS components)
    set(file paidonce-${component})
    if(component STREQUAL "core")
      set(file paidonce)
    endif()
    configure_file("${PROJECT_SOURCE_DIR}/cmake/${file}.pc.in" "${PROJECT_BINARY_DIR}/package/${file}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/package/${file}.pc" DESTINATION "${pkgconfig_dir}")
  endforeach()
endfunction()
