"use strict";
// Before anything is drawn, so that a dark page never flashes white.
try {
  const kept = localStorage.getItem("tail-quality-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch { /* no storage for this file: the system's choice holds */ }
