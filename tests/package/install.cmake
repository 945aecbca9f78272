# Installs the library from a build of its own and moves the tree, so that no path of the first place may be in it.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run_or_fail.cmake")

file(REMOVE_RECURSE "${WORK}/install_build" "${WORK}/first_place" "${WORK}/moved")
run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/install_build" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  -DPAIDONCE_TESTS=OFF -DPAIDONCE_EXAMPLES=OFF "-DCMAKE_INSTALL_PREFIX=${WORK}/first_place"
  # Every header is installed, whatever is found.
  -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
  -DCMAKE_DISABLE_FIND_PACKAGE_SQLite3=ON -DCMAKE_DISABLE_FIND_PACKAGE_PostgreSQL=ON)
run("${CMAKE_COMMAND}" --build "${WORK}/install_build")
run("${CMAKE_COMMAND}" --install "${WORK}/install_build")
file(RENAME "${WORK}/first_place" "${WORK}/moved")

include("${WORK}/header_lists.cmake")
set(listed "")
foreach(component IN LISTS components)
  list(APPEND listed ${headers_${component}})
endforeach()
list(SORT listed)
file(GLOB_RECURSE installed RELATIVE "${WORK}/moved/include" "${WORK}/moved/include/*")
list(SORT installed)
if(NOT listed STREQUAL installed)
  message(FATAL_ERROR "the header lists hold\n${listed}\nand installed is\n${installed}")
endif()

file(GLOB_RECURSE files "${WORK}/moved/*")
foreach(file IN LISTS files)
  file(STRINGS "${file}" lines REGEX "first_place|install_build")
  if(lines)
    message(FATAL_ERROR "${file} holds a path of the place it was installed to first:\n${lines}")
  endif()
endforeach()
