/**
 * All views of seahub that this server has, in the order in which addresses are tried. An address that is not here is
 * a 404 page. Read by index.ts.
 */
import { accountRoutes } from "./api-account.ts";
import { batchRoutes } from "./api-batch.ts";
import { dirRoutes } from "./api-dir.ts";
import { dirV21Routes } from "./api-dir-v21.ts";
import { fileRoutes } from "./api-file.ts";
import { fileV21Routes } from "./api-file-v21.ts";
import { fileopsRoutes } from "./api-fileops.ts";
import { libraryRoutes } from "./api-libraries.ts";
import { linkContentRoutes } from "./api-link-content.ts";
import { linkRoutes } from "./api-links.ts";
import { mailRoutes } from "./api-mail.ts";
import { shareLinkRoutes } from "./api-share-links.ts";
import { sharedItemRoutes } from "./api-shared-items.ts";
import { sharingRoutes } from "./api-sharing.ts";
import { starredRoutes } from "./api-starred.ts";
import { uploadLinkRoutes } from "./api-upload-links.ts";

import { linkPageRoutes } from "./link-views.ts";
import type { Route } from "./router.ts";

export const routes: readonly Route[] = [
  ...accountRoutes,
  // Before the libraries: "batch-move-item" must not be taken for a library.
  ...batchRoutes,
  ...libraryRoutes,
  ...linkRoutes,
  ...dirRoutes,
  ...fileRoutes,
  ...fileopsRoutes,
  ...dirV21Routes,
  ...fileV21Routes,
  ...starredRoutes,
  ...sharingRoutes,
  ...sharedItemRoutes,
  ...shareLinkRoutes,
  ...uploadLinkRoutes,
  ...linkContentRoutes,
  ...mailRoutes,
  ...linkPageRoutes,
];
