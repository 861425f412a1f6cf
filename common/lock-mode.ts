// PostgreSQL's table lock modes by the numbers that its lock.h and our engine give them, weakest first.
export const ACCESS_SHARE = 1;
export const ROW_SHARE = 2;
export const ROW_EXCLUSIVE = 3;
export const SHARE_UPDATE_EXCLUSIVE = 4;
export const SHARE = 5;
export const SHARE_ROW_EXCLUSIVE = 6;
export const ACCESS_EXCLUSIVE = 8;
