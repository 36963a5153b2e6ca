/** What browsers have and TypeScript's own declarations do not. */

/** `readwrite-unsafe`: several handles at once, also in several tabs. A browser that does not know it ignores it. */
interface SyncAccessHandleOptions {
  mode?: 'readwrite' | 'read-only' | 'readwrite-unsafe';
}

declare global {
  interface FileSystemFileHandle {
    createSyncAccessHandle(options: SyncAccessHandleOptions): Promise<FileSystemSyncAccessHandle>;
    /** Absent in older browsers. */
    move?(parent: FileSystemDirectoryHandle, name: string): Promise<void>;
  }
}

export {};
