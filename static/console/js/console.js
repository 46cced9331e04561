// What every page does with a script. Each module looks for its own data-attributes, also in parts that arrive later.
import "./menus.js";
import "./dialogs.js";
import "./copy.js";
import "./paste.js";
import "./toasts.js";
import "./shortcuts.js";
import "./palette.js";
import "./unsaved.js";
import "./polling.js";
import "./picking.js";
import "./quota.js";
import "./presets.js";
import "./zone.js";
import "./theme.js";
import "./old_hashes.js";
import "./passkeys.js";
import "./human.js";
