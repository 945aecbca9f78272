# What the checks of the documentation share.

# read_lines(<file> <variable>): the lines of a file as a list. CMake's lists cannot hold every character, so
# semicolons, square brackets and backslashes have other names in it.
function(read_lines file variable)
  file(READ "${file}" text)
  string(REPLACE "\\" "{backslash}" text "${text}")
  string(REPLACE ";" "{semicolon}" text "${text}")
  string(REPLACE "[" "{open}" text "${text}")
  string(REPLACE "]" "{close}" text "${text}")
  string(REPLACE "\n" ";" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# pages(<root> <variable>): README.md and every page of docs and of its folders.
function(pages root variable)
  file(GLOB found "${root}/docs/*.md" "${root}/docs/*/*.md")
  if(EXISTS "${root}/README.md")
    list(PREPEND found "${root}/README.md")
  endif()
  if(NOT found)
    message(FATAL_ERROR "there is no page under ${root}")
  endif()
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()
