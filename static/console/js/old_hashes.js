// /setting#operation, #system and #other, as bookmarks from another front end have them: the tab of that name.
const tab = document.querySelector(`.tabs a[href="/setting/${CSS.escape(location.hash.slice(1))}"]`);
if (location.pathname === "/setting" && tab) location.replace(tab.href);
