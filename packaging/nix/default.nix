# SPDX-License-Identifier: GPL-2.0
#
# boot.extraModulePackages = [ (config.boot.kernelPackages.callPackage ./packaging/nix { }) ];
{
  lib,
  kernel,
  kernelModuleMakeFlags ? [ ],
}:

kernel.stdenv.mkDerivation {
  pname = "udmabuf_rs";
  version = lib.fileContents ../../VERSION;
  src = lib.cleanSource ../..;

  nativeBuildInputs = kernel.moduleBuildDependencies;
  hardeningDisable = [ "pic" ];
  makeFlags = kernelModuleMakeFlags ++ [
    "KDIR=${kernel.dev}/lib/modules/${kernel.modDirVersion}/build"
  ];
  postPatch = "patchShebangs tools";

  installTargets = [ "modules_install" ];
  installFlags = [ "INSTALL_MOD_PATH=${placeholder "out"}" ];
  # services.udev.packages takes the rules from here.
  postInstall = ''
    install -D -m 644 tools/udev/60-udmabuf_rs.rules -t $out/lib/udev/rules.d
    install -D -m 644 Documentation/udmabuf_rs.4 -t $out/share/man/man4
    install -D -m 644 uapi/linux/udmabuf.h -t $out/include/udmabuf_rs/linux
  '';

  meta = {
    description = "Kernel module that makes dma-bufs of memfd pages, in Rust";
    license = lib.licenses.gpl2Only;
    platforms = lib.platforms.linux;
    broken = lib.versionOlder kernel.version "7.2" || !(kernel.withRust or false);
  };
}
