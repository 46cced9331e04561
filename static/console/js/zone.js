// Tells the server the browser's time zone once, for times that are right the next time a page is drawn. A zone that the
// cookie has already may be one that the person has chosen, and stays.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !/(?:^|; )zone=/.test(document.cookie)) document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
